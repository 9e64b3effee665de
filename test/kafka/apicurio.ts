/**
 * Apicurio Registry as a process on loopback, with its schemas in memory. The program comes from Maven
 * Central by `mvn`, once, and is kept in the user's cache, outside the tree. 3.0 is the last line that
 * runs on Java 17.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { Reaper } from './reaper.ts'

const VERSION = '3.0.9'
const run = promisify(execFile)

export class Apicurio implements AsyncDisposable {
  /** Up to the path before /subjects. */
  readonly url: string
  readonly #child: ChildProcess
  readonly #reaper: Reaper

  private constructor(child: ChildProcess, reaper: Reaper, address: string) {
    this.#child = child
    this.#reaper = reaper
    this.url = `${address}/apis/ccompat/v7`
  }

  /** Starts on a free port. Rejects with what the process said where it does not come up. */
  static async start(): Promise<Apicurio> {
    const folder = await program()
    const scratch = await mkdtemp(join(tmpdir(), 'millrace-apicurio-'))
    const reaper = new Reaper(scratch)
    const child = spawn(
      'java',
      [
        '-Xmx512m',
        `-Djava.io.tmpdir=${scratch}`,
        '-Dquarkus.http.host=127.0.0.1',
        '-Dquarkus.http.port=0',
        // The line that says which port it took.
        '-Dquarkus.log.category."io.quarkus".level=INFO',
        '-jar',
        `apicurio-registry-app-${VERSION}-runner.jar`,
      ],
      { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] },
    )
    if (child.pid !== undefined) reaper.watch(child.pid)
    const said: string[] = []
    child.stderr.on('data', (part: Buffer) => said.push(part.toString()))
    for await (const line of createInterface(child.stdout)) {
      said.push(line)
      const [, address] = /Listening on: (http:\S+)/.exec(line) ?? []
      if (address === undefined) continue
      // Nobody reads on, and a full pipe would stop it.
      child.stdout.resume()
      return new Apicurio(child, reaper, address)
    }
    await reaper[Symbol.asyncDispose]()
    throw new Error(`Apicurio did not start:\n${said.join('\n')}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit')
      this.#child.kill('SIGKILL')
      await ended
    }
    await this.#reaper[Symbol.asyncDispose]()
  }
}

/** The folder with the program, fetched where it is not there yet. */
async function program(): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'millrace')
  const folder = join(cache, `apicurio-${VERSION}`)
  if (existsSync(folder)) return folder
  await mkdir(cache, { recursive: true })
  const fetched = await mkdtemp(join(cache, 'fetching-'))
  try {
    const artifact = `io.apicurio:apicurio-registry-app:${VERSION}:tar.gz:all`
    await run('mvn', [
      '-q',
      '-B',
      'dependency:copy',
      `-Dartifact=${artifact}`,
      `-DoutputDirectory=${fetched}`,
    ])
    const archive = `apicurio-registry-app-${VERSION}-all.tar.gz`
    await run('tar', ['xzf', archive], { cwd: fetched })
    await rm(join(fetched, archive))
    // Whole or not at all.
    await rename(fetched, folder)
  } catch (error) {
    await rm(fetched, { recursive: true })
    throw error
  }
  return folder
}
