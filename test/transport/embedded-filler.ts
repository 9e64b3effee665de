/** Writes transactions of two records into an embedded log until the disk, or a limit on file sizes, has no more room. */
import { writeSync } from 'node:fs'
import { asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import type { TransportError } from '../../transport/errors.ts'

const [folder = '', where = 'segments'] = process.argv.slice(2)
const isIndex = where === 'index'
const log = await openEmbeddedLog({
  folder,
  clock: systemClock(),
  // Segments that stay small leave the index as the file that grows.
  ...(isIndex ? { segmentBytes: 10_000 } : {}),
})
const topic = asTopic('a')
await log.admin.createTopics([{ topic, partitions: 1 }])
const producer = log.openProducer({ transactionalId: 'filler' })
await producer.init()
try {
  for (;;) {
    for (let record = 0; record < 2; record += 1) {
      const value = Buffer.alloc(isIndex ? 100 : 500_000)
      producer.send({
        topic,
        partition: asPartition(0),
        key: null,
        value,
        timestamp: 1,
        headers: NO_HEADERS,
      })
    }
    await producer.commit()
    writeSync(1, 'committed\n')
  }
} catch (error) {
  const { code, message } = error as TransportError
  writeSync(1, `failed ${code} ${message}\n`)
}
process.exit(0)
