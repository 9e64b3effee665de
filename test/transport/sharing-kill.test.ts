import { spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it } from 'vitest'
import { sleep } from '../../model/clock.ts'
import { asOffset, asPartition } from '../../model/position.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { prepareFolder, readHolder } from '../../transport/embedded/log-folder.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import type { Transport } from '../../transport/transport.ts'
import { drawnSeed } from '../seed.ts'
import { PARTITIONS, randomFrom, TOPIC } from './embedded-writer-shape.ts'

const PROCESSES = ['a', 'b', 'c']
const TAKEOVERS = Number(process.env['MILLRACE_TAKEOVERS'] ?? 20)
const LONGEST_HOLD_MS = 400
const WRITER = fileURLToPath(new URL('./sharing-writer.ts', import.meta.url))

const root = await mkdtemp(join(tmpdir(), 'millrace-takeover-'))
afterAll(() => rm(root, { recursive: true, force: true }))
const seed = drawnSeed()
const clock = systemClock()

it(
  `three processes over one log whose holder is killed ${TAKEOVERS} times lose nothing acknowledged and double nothing (seed ${seed})`,
  { timeout: 60_000 + TAKEOVERS * 5_000 },
  async () => {
    const random = randomFrom(seed)
    const path = join(root, 'log')
    const folder = await prepareFolder(path)
    const crew = new Crew(path)
    try {
      for (const name of PROCESSES) crew.start(name)
      for (let kills = 0; kills < TAKEOVERS; kills += 1) {
        await crew.killHolder(async () => (await readHolder(folder))?.pid, random)
      }
      await crew.works()
      await crew.stop()
    } finally {
      crew.killAll()
    }
    await check(path, crew)
  },
)

interface Member {
  readonly name: string
  readonly child: ChildProcess
  readonly ended: Promise<void>
  lines: number
}

/** The processes, and what they said. */
class Crew {
  readonly lines: { readonly name: string; readonly line: string }[] = []
  readonly problems: string[] = []
  readonly #path: string
  readonly #members = new Map<number, Member>()
  #starts = 0
  #isStopping = false

  constructor(path: string) {
    this.#path = path
  }

  start(name: string): void {
    this.#starts += 1
    const args = [WRITER, this.#path, name, String(seed + this.#starts)]
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let rest = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.problems.push(text))
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      member.lines += lines.length
      for (const line of lines) this.lines.push({ name, line })
    })
    const ended = new Promise<void>((resolve) => {
      child.on('close', (code, signal) => {
        this.#members.delete(child.pid ?? 0)
        if (code !== 0 && signal !== 'SIGKILL') this.problems.push(`${name} ended with ${code}`)
        if (!this.#isStopping && signal !== 'SIGKILL') this.problems.push(`${name} ended early`)
        resolve()
      })
    })
    const member: Member = { name, child, ended, lines: 0 }
    this.#members.set(child.pid ?? 0, member)
  }

  /** Lets the holder serve for a while, kills it, and puts another one of its name in its place. */
  async killHolder(holder: () => Promise<number | undefined>, random: () => number): Promise<void> {
    for (;;) {
      expect(this.problems).toEqual([])
      const member = this.#members.get((await holder()) ?? 0)
      if (member !== undefined && member.lines > 5) {
        await sleep(clock, random() * LONGEST_HOLD_MS)
        member.child.kill('SIGKILL')
        await member.ended
        this.start(member.name)
        return
      }
      await sleep(clock, 5)
    }
  }

  /** Waits until every process has written, the last of the holders included. */
  async works(): Promise<void> {
    const before = new Map([...this.#members.values()].map((each) => [each, each.lines]))
    while ([...before].some(([each, lines]) => each.lines < lines + 20)) {
      expect(this.problems).toEqual([])
      await sleep(clock, 5)
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    const members = [...this.#members.values()]
    for (const { child } of members) child.kill('SIGTERM')
    await Promise.all(members.map(({ ended }) => ended))
    expect(this.problems).toEqual([])
  }

  killAll(): void {
    for (const { child } of this.#members.values()) child.kill('SIGKILL')
  }
}

async function check(path: string, { lines }: Crew): Promise<void> {
  await using log = await openEmbeddedLog({ folder: path, clock })
  const partitions = await Promise.all(
    Array.from({ length: PARTITIONS }, (_, partition) => readAll(log, partition)),
  )
  const keys = partitions.flat().map(({ key }) => key)
  const counts = new Map<string, number>()
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1)
  expect([...counts].filter(([, count]) => count > 1)).toEqual([])
  let acknowledged = 0
  for (const { name, line } of lines) {
    const [word, first = '', second = ''] = line.split(' ')
    if (word === 'committed') {
      acknowledged += 1
      for (let index = 0; index < Number(second); index += 1) {
        expect(counts.get(`${name} ${first} ${index} ${second}`), line).toBe(1)
      }
    }
  }
  expect(acknowledged).toBeGreaterThan(TAKEOVERS)
  checkWhole(keys)
  checkPlain(partitions[0] ?? [], lines)
  checkReads(partitions, lines)
  await checkOffsets(log, keys)
}

/** No transaction is there in part, also none that nobody was told of. */
function checkWhole(keys: readonly string[]): void {
  const records = new Map<string, number>()
  for (const key of keys) {
    const [name, transaction, , count] = key.split(' ')
    if (name === 'plain') continue
    const whole = `${name} ${transaction} of ${count}`
    records.set(whole, (records.get(whole) ?? 0) + 1)
  }
  for (const [whole, count] of records) expect(whole).toMatch(new RegExp(` of ${count}$`))
}

/** Plain records of one process are there in the order they were sent, without a gap. */
function checkPlain(
  records: readonly { readonly key: string }[],
  lines: readonly { readonly line: string }[],
): void {
  const next = new Map<string, number>()
  for (const { key } of records) {
    const [word, pid = '', number] = key.split(' ')
    if (word !== 'plain') continue
    expect(Number(number), key).toBe(next.get(pid) ?? 0)
    next.set(pid, Number(number) + 1)
  }
  for (const { line } of lines) {
    const [word, pid = '', acknowledged] = line.split(' ')
    if (word === 'plain') expect(next.get(pid) ?? 0).toBeGreaterThanOrEqual(Number(acknowledged))
  }
}

/** What the readers saw across takeovers is what is there. */
function checkReads(
  partitions: readonly (readonly { readonly key: string; readonly offset: number }[])[],
  lines: readonly { readonly line: string }[],
): void {
  const reads = lines.filter(({ line }) => line.startsWith('read '))
  expect(reads).toHaveLength(PROCESSES.length * PARTITIONS)
  for (const { line } of reads) {
    const [, partition, position, digest] = line.split(' ')
    const hash = createHash('sha256')
    for (const { key, offset } of partitions[Number(partition)] ?? []) {
      if (offset < Number(position)) hash.update(`${offset} ${key}\n`)
    }
    expect(hash.digest('hex'), line).toBe(digest)
  }
}

async function checkOffsets(log: Transport, keys: readonly string[]): Promise<void> {
  const place = { topic: TOPIC, partition: asPartition(0) }
  for (const name of PROCESSES) {
    const own = keys.filter((key) => key.startsWith(`${name} `))
    const last = Math.max(0, ...own.map((key) => Number(key.split(' ')[1])))
    const [committed] = await log.admin.committedOffsets(`group-${name}`, [place])
    expect(committed?.offset ?? 0).toBe(last)
  }
}

async function readAll(
  log: Transport,
  partition: number,
): Promise<readonly { readonly key: string; readonly offset: number }[]> {
  const at = { topic: TOPIC, partition: asPartition(partition) }
  const [end = 0] = await log.admin.offsets([at], 'latest', 'read_committed')
  await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 1_000_000 })
  const cursor = reader.open({ ...at, offset: asOffset(0) })
  const records: { readonly key: string; readonly offset: number }[] = []
  while (cursor.position < end) {
    const batch = cursor.take()
    if (batch === undefined) await reader.ready()
    for (const { key, offset } of batch?.records ?? []) {
      records.push({ key: key?.toString() ?? '', offset })
    }
  }
  return records
}
