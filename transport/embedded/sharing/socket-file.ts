/**
 * The socket of a shared log: a file in its folder, which only the user that holds the log may use. A
 * path of a socket may have about a hundred bytes; to a folder that lies deeper leads a symbolic link
 * among the temporary files, which each process makes for the moment in which it binds or connects.
 */
import { once } from 'node:events'
import { chmod, mkdtemp, rename, rm, symlink } from 'node:fs/promises'
import type { Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const SOCKET = 'log.sock'
const SOCKET_DRAFT = 'log.sock.new'
/** `sun_path` has 104 bytes on some systems and 108 on others, the zero at the end included. */
const PATH_BYTES = 100
const OWNER_ONLY = 0o600

/** Listens on the socket of a folder, which replaces the one that a dead holder left. */
export async function listenIn(folder: string, server: Server): Promise<void> {
  const draft = join(folder, SOCKET_DRAFT)
  await rm(draft, { force: true })
  await withShortPath(folder, async (short) => {
    const failed = once(server, 'listening')
    server.listen({ path: join(short, SOCKET_DRAFT) })
    await failed
  })
  // Found under its name only once nobody else may connect to it.
  await chmod(draft, OWNER_ONLY)
  await rename(draft, join(folder, SOCKET))
}

/** Takes the socket away; only the holder of the folder may. */
export async function removeSocket(folder: string): Promise<void> {
  await rm(join(folder, SOCKET), { force: true })
}

/** Runs `connect` with a path that leads to the folder's socket while it runs. */
export async function withSocket<T>(
  folder: string,
  connect: (path: string) => Promise<T>,
): Promise<T> {
  return await withShortPath(folder, (short) => connect(join(short, SOCKET)))
}

async function withShortPath<T>(folder: string, run: (short: string) => Promise<T>): Promise<T> {
  if (Buffer.byteLength(join(folder, SOCKET_DRAFT)) <= PATH_BYTES) return await run(folder)
  const place = await mkdtemp(join(tmpdir(), 'millrace-'))
  try {
    const link = join(place, 'log')
    await symlink(resolve(folder), link)
    return await run(link)
  } finally {
    await rm(place, { recursive: true, force: true })
  }
}
