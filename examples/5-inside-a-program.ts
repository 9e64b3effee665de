/**
 * millrace as a library: a log in a folder, an app over it, a few records in and out, a clean stop.
 *
 *   node --conditions=millrace-source examples/5-inside-a-program.ts
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  asOffset,
  asPartition,
  asTopic,
  memoryRegistry,
  NO_HEADERS,
  openEmbeddedLog,
  streams,
  systemClock,
  text,
  topology,
} from 'millrace'

const folder = await mkdtemp(join(tmpdir(), 'millrace-example-'))
const clock = systemClock()
await using log = await openEmbeddedLog({ folder: join(folder, 'log'), clock })
const [input, output] = [asTopic('in'), asTopic('out')]
await log.admin.createTopics([
  { topic: input, partitions: 1 },
  { topic: output, partitions: 1 },
])

const shout = topology('shout', ({ stream }) => {
  stream('in', { key: text, value: text })
    .mapValues((value) => value.toUpperCase(), { value: text })
    .to('out')
})

await using app = streams(shout, {
  transport: log,
  registry: memoryRegistry(),
  clock,
  state: { kind: 'folder', folder: join(folder, 'state') },
})
await app.start()

await using producer = log.openProducer({})
await producer.init()
for (const word of ['hello', 'world']) {
  producer.send({
    topic: input,
    partition: asPartition(0),
    key: Buffer.from(word),
    value: Buffer.from(word),
    timestamp: clock.now(),
    headers: NO_HEADERS,
  })
}
await producer.flush()
await app.caughtUp()

await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 1_000_000 })
const cursor = reader.open({ topic: output, partition: asPartition(0), offset: asOffset(0) })
for (let seen = 0; seen < 2;) {
  const batch = cursor.take()
  if (batch === undefined) await reader.ready()
  for (const record of batch?.records ?? []) {
    console.log(record.value?.toString())
    seen += 1
  }
}
await app.close()
await rm(folder, { recursive: true, force: true })
