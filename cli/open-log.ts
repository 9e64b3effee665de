/**
 * The log that a command works on, with the registry that belongs to it. The registry of an embedded
 * log is a file of the log's folder, so that the folder is whole when it is copied.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../model/clock.ts'
import { MillraceError } from '../model/errors.ts'
import { fileRegistry } from '../serdes/file-registry.ts'
import type { Registry } from '../serdes/registry.ts'
import { openEmbeddedLog } from '../transport/embedded/open.ts'
import type { Transport } from '../transport/transport.ts'
import { folder, required } from './options.ts'

const REGISTRY_FILE = 'schemas.jsonl'

/** The option that says where the log is. */
export const logOptions = {
  embedded: required(folder, 'the folder of the embedded log'),
}

/** A log and its registry. */
export interface OpenLog extends AsyncDisposable {
  readonly transport: Transport
  readonly registry: Registry
}

/** Opens the embedded log in `path`. `existing` refuses to make one: who only reads would read nothing. */
export async function openLog(
  path: string,
  { clock, existing = false }: { readonly clock: Clock; readonly existing?: boolean },
): Promise<OpenLog> {
  if (existing && (await stat(path).catch(() => undefined)) === undefined) {
    const message = `there is no embedded log at ${path}; give the folder that ingest or run was given`
    throw new MillraceError('MILLRACE_LOG_MISSING', message, { place: path })
  }
  const transport = await openEmbeddedLog({ folder: path, clock })
  return {
    transport,
    registry: fileRegistry(join(path, REGISTRY_FILE)),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  }
}
