/**
 * Measures a log through its socket against the same in one process. By hand:
 *
 *   node test/transport/sharing-bench.ts
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import type { Transport } from '../../transport/transport.ts'

const MIB = 1024 * 1024
const clock = systemClock()
const [role, path = ''] = process.argv.slice(2)

interface Case {
  readonly name: string
  readonly valueBytes: number
  readonly records: number
  readonly perCommit: number
}

const CASES: readonly Case[] = [
  { name: '5 MiB', valueBytes: 5 * MIB, records: 200, perCommit: 10 },
  { name: '100 B', valueBytes: 100, records: 1_000_000, perCommit: 20_000 },
]

if (role === 'holder') await hold(path)
else await compare()

/** Holds the log until it is told to say what it cost. */
async function hold(folder: string): Promise<void> {
  await using _log = await openEmbeddedLog({ folder, clock, share: true })
  process.stdout.write('holding\n')
  for await (const _line of process.stdin) {
    process.stdout.write(`${cpuSeconds()}\n`)
  }
}

async function compare(): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'millrace-sharing-bench-'))
  try {
    for (const each of CASES) {
      {
        const folder = join(root, `alone-${each.name}`)
        await using log = await openEmbeddedLog({ folder, clock })
        await measure('one process ', log, each, async () => 0)
      }
      const folder = join(root, `shared-${each.name}`)
      const holder = spawn(process.execPath, [import.meta.filename, 'holder', folder], {
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      await once(holder.stdout, 'data')
      const cpuOfHolder = async (): Promise<number> => {
        holder.stdin.write('cpu\n')
        const [line] = (await once(holder.stdout, 'data')) as [Buffer]
        return Number(line.toString())
      }
      {
        await using log = await openEmbeddedLog({ folder, clock, share: true })
        await measure('over a socket', log, each, cpuOfHolder)
      }
      holder.stdin.end()
      await once(holder, 'close')
    }
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}

async function measure(
  how: string,
  log: Transport,
  { name, valueBytes, records, perCommit }: Case,
  cpuOfHolder: () => Promise<number>,
): Promise<void> {
  const topic = asTopic('measured')
  const partition = asPartition(0)
  const config = { 'max.message.bytes': String(64 * MIB) }
  await log.admin.createTopics([{ topic, partitions: 1, config }])
  const value = Buffer.alloc(valueBytes, 'x')
  const key = Buffer.from('key')
  const report = async (what: string, work: () => Promise<void>): Promise<void> => {
    const [cpu, cpuThere, start] = [cpuSeconds(), await cpuOfHolder(), performance.now()]
    await work()
    const seconds = (performance.now() - start) / 1000
    const spent = [cpuSeconds() - cpu, (await cpuOfHolder()) - cpuThere]
    const rate =
      valueBytes > 1000
        ? `${((records * valueBytes) / 1e6 / seconds).toFixed(0)} MB/s`
        : `${(records / 1e6 / seconds).toFixed(2)} M records/s`
    const per = valueBytes > 1000 ? (records * valueBytes) / 1e9 : records / 1e6
    const costs = spent.map((each) => (each / per).toFixed(2)).join(' + ')
    console.log(
      `${name}  ${how}  ${what}  ${rate}  ${costs} CPU s per ${valueBytes > 1000 ? 'GB' : 'M'}`,
    )
  }
  await using producer = log.openProducer({ transactionalId: 'bench' })
  await producer.init()
  await report('write', async () => {
    for (let sent = 0; sent < records;) {
      for (let of = 0; of < perCommit; of += 1) {
        producer.send({ topic, partition, key, value, timestamp: 1, headers: NO_HEADERS })
      }
      sent += perCommit
      await producer.commit()
    }
  })
  await report('read ', async () => {
    await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 32 * MIB })
    const cursor = reader.open({ topic, partition, offset: asOffset(0) })
    while (cursor.position < records) {
      const batch = cursor.take()
      if (batch === undefined) await reader.ready()
      else batch.release()
    }
  })
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
