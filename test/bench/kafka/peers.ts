/**
 * The clients that millrace is compared with. Each is installed on first use, outside the tree, as
 * the broker's jars are. One that cannot be had here is listed with the reason, never left out.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, readFile } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { cacheFolder } from '../../kafka/program.ts'

/** How a peer is started; the load is its last argument. */
export type PeerCommand = readonly [program: string, ...options: string[]]

/** A client of somebody else. */
export interface Peer {
  readonly name: string
  /** Installs it where it is not yet there. Rejects where that cannot be done. */
  readonly install: () => Promise<PeerCommand>
}

const run = promisify(execFile)
const INSTALL_DEADLINE_MS = 600_000
const PYTHON = ['confluent-kafka==2.16.1'] as const
const WAITING = ['kafka-python==3.0.12'] as const
const NATIVE_CRC32C = 'crc32c==2.9'

/** librdkafka, called from Python: the calls for small records are in its figures. */
export const LIBRDKAFKA: Peer = {
  name: 'librdkafka (confluent-kafka)',
  install: async () => await python('confluent', PYTHON, 'confluent.py'),
}

/** Go's own client. */
export const FRANZ_GO: Peer = {
  name: 'franz-go',
  install: async () => {
    const source = fileURLToPath(new URL('peers/franz', import.meta.url))
    const text = await readFile(join(source, 'main.go'))
    const id = createHash('sha256').update(text).digest('hex').slice(0, 12)
    const program = join(cacheFolder(), 'peers', `franz-${id}`)
    if (existsSync(program)) return [program]
    const folder = join(cacheFolder(), 'peers', 'franz-source')
    await cp(source, folder, { recursive: true })
    await install('go', ['build', '-o', program, '.'], folder)
    return [program]
  },
}

/** The client that millrace takes its connections from. */
export const KAFKAJS: Peer = {
  name: 'kafkajs',
  install: async () => [
    process.execPath,
    fileURLToPath(new URL('peers/kafkajs.ts', import.meta.url)),
  ],
}

/** A producer that waits for every slice, as in tutorials; its checksum is Python unless `native`. */
export function waiting(native: boolean): Peer {
  return {
    name: `waiting kafka-python, ${native ? 'native' : 'default'} checksum`,
    install: async () =>
      native
        ? await python('waiting-native', [...WAITING, NATIVE_CRC32C], 'waiting.py')
        : await python('waiting', WAITING, 'waiting.py'),
  }
}

/** A folder of Python packages of its own for each set, so that none finds another's. */
async function python(
  name: string,
  packages: readonly string[],
  script: string,
): Promise<PeerCommand> {
  const folder = join(cacheFolder(), 'peers', name)
  const program = join(folder, 'bin', 'python')
  const done = join(folder, 'bin', 'installed')
  if (!existsSync(done)) {
    await mkdir(join(cacheFolder(), 'peers'), { recursive: true })
    await install('python3', ['-m', 'venv', folder])
    await install(program, ['-m', 'pip', 'install', '-q', ...packages])
    await cp(join(folder, 'pyvenv.cfg'), done)
  }
  return [program, fileURLToPath(new URL(`peers/${script}`, import.meta.url))]
}

async function install(program: string, options: readonly string[], cwd?: string): Promise<void> {
  await run(program, options, {
    timeout: INSTALL_DEADLINE_MS,
    ...(cwd === undefined ? {} : { cwd }),
  })
}
