/**
 * The log that a command works on, with the registry that belongs to it. The registry of an embedded
 * log is a file of the log's folder, so that the folder is whole when it is copied.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../model/clock.ts'
import { MillraceError } from '../model/errors.ts'
import { fileRegistry } from '../serdes/file-registry.ts'
import { heldRegistry, registrar } from '../serdes/held-registry.ts'
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

/** How a command wants its log. */
export interface OpenLogOptions {
  readonly clock: Clock
  /** Refuses to make one: who only reads would read nothing. */
  readonly existing?: boolean
  /** Nobody else may use it meanwhile. */
  readonly isAlone?: boolean
  /** Ends the wait for another process that holds it. */
  readonly signal?: AbortSignal
}

/** Opens the embedded log in `path`, together with other commands that use it. */
export async function openLog(
  path: string,
  { clock, existing = false, isAlone = false, signal }: OpenLogOptions,
): Promise<OpenLog> {
  if (existing && (await stat(path).catch(() => undefined)) === undefined) {
    const message = `there is no embedded log at ${path}; give the folder that ingest or run was given`
    throw new MillraceError('MILLRACE_LOG_MISSING', message, { place: path })
  }
  const file = fileRegistry(join(path, REGISTRY_FILE))
  const holderTask = registrar(file)
  const transport = await openEmbeddedLog({
    folder: path,
    clock,
    share: !isAlone,
    holderTask,
    ...(signal && { signal }),
  })
  return {
    transport,
    registry: heldRegistry(file, (request) => transport.askHolder(request)),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  }
}
