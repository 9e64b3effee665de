/** Opens an embedded log: alone, or together with other processes. */
import { BufferPool } from '../buffer-pool.ts'
import { EmbeddedTransport } from './embedded-transport.ts'
import { logInUse } from './folder-errors.ts'
import { EMBEDDED_LOG_LIMITS, type EmbeddedLogOptions } from './limits.ts'
import { LocalBroker } from './local-broker.ts'
import { prepareFolder, readHolder } from './log-folder.ts'
import { holdLog } from './open-log.ts'
import { SharedBroker } from './sharing/shared-broker.ts'

/**
 * Opens the log in a folder, which is made where it does not exist. With `share` it is used together
 * with other processes that say so too; without, one opening holds it alone. Several readers and
 * producers use an opened log within the process. Closing it gives the folder free.
 *
 * Throws MILLRACE_LOG_FOLDER (cannot be made or used), MILLRACE_NOT_A_LOG (somebody else's folder:
 * nothing is written into it), MILLRACE_LOG_VERSION (made by a later format), MILLRACE_LOG_IN_USE
 * (names the holder, which does not share), MILLRACE_LOG_UNREACHABLE (shared, and nobody serves it),
 * MILLRACE_LOG_PROTOCOL (shared by another version of millrace), MILLRACE_LOG_IO. A damaged partition
 * throws MILLRACE_LOG_DAMAGED when used.
 */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<EmbeddedTransport> {
  const { clock } = options
  const limits = { ...EMBEDDED_LOG_LIMITS, ...options }
  const folder = await prepareFolder(options.folder)
  // Windows has no sockets in folders: there a log is held by one process.
  if (options.share === true && process.platform !== 'win32') {
    const buffers = new BufferPool(limits.pooledBytes)
    const broker = await SharedBroker.open({ folder, log: options, clock, limits, buffers })
    return new EmbeddedTransport({ broker, owner: broker, clock, limits })
  }
  const log = await holdLog(options, folder)
  if (log === undefined) throw logInUse(options.folder, (await readHolder(folder))?.pid)
  return new EmbeddedTransport({ broker: new LocalBroker(log), owner: log, clock, limits })
}
