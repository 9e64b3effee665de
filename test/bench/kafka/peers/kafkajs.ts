/** kafkajs' own Producer and Consumer, driven by test/bench/kafka/peer-process.ts. */
import { once } from 'node:events'
import kafkajs from 'kafkajs'
import type { Load } from '../load.ts'

const load = JSON.parse(process.argv[2] ?? '') as Load
const kafka = new kafkajs.Kafka({
  brokers: load.brokers.split(','),
  logLevel: kafkajs.logLevel.NOTHING,
})

async function say(line: string): Promise<void> {
  console.log(line)
  await once(process.stdin, 'data')
}

/** It gathers nothing itself: what the others take into one batch is handed to it at once. */
async function produce(): Promise<void> {
  const producer = kafka.producer({
    idempotent: true,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  })
  await producer.connect()
  const value = Buffer.alloc(load.valueBytes)
  for (let i = 0; i < value.length; i += 1) value[i] = (i * 31) % 251
  const inBatch = Math.max(1, Math.floor(load.batchBytes / (load.valueBytes + 10)))
  await say('begin')
  for (let sent = 0; sent < load.records; sent += inBatch) {
    const length = Math.min(inBatch, load.records - sent)
    const messages = Array.from({ length }, () => ({ value, partition: 0 }))
    await producer.send({ topic: load.topic, acks: -1, messages })
  }
  await say(`end ${load.records} ${load.records * load.valueBytes}`)
  await producer.disconnect()
}

async function fetch(): Promise<void> {
  const consumer = kafka.consumer({
    groupId: `bench-${process.pid}-${Date.now()}`,
    readUncommitted: false,
    maxBytes: load.fetchBytes,
    maxBytesPerPartition: load.fetchBytes,
  })
  await consumer.connect()
  await consumer.subscribe({ topic: load.topic, fromBeginning: true })
  let records = 0
  let bytes = 0
  const done = Promise.withResolvers<void>()
  await say('begin')
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      for (const { value } of batch.messages) {
        records += 1
        bytes += value?.length ?? 0
      }
      if (records >= load.records) done.resolve()
    },
  })
  await done.promise
  await say(`end ${records} ${bytes}`)
  await consumer.disconnect()
}

await (load.mode === 'produce' ? produce() : fetch())
process.exit()
