/** Conformance: topics, and where their partitions begin and end. */
import assert from 'node:assert/strict'
import { asPartition } from '../model/position.ts'
import { assertRejects, at, record, sendNow, type ConformanceCase } from './conformance-world.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

const describesTopics: ConformanceCase = {
  title: 'a created topic is described with its id, partitions and configuration',
  async run(world) {
    const { admin } = world.log
    const config = { 'cleanup.policy': 'compact', 'max.message.bytes': '2000000' }
    const topic = await world.create('described', 4, config)
    const other = await world.create('other')
    const described = await admin.describeTopics([topic, world.topic('missing')])
    assert.equal(described.length, 1)
    const [found] = described
    assert.ok(found !== undefined)
    assert.equal(found.topic, topic)
    assert.equal(found.partitions, 4)
    assert.match(found.topicId, UUID)
    for (const [name, value] of Object.entries(config)) assert.equal(found.config[name], value)
    const all = (await admin.describeTopics()).map((one) => one.topic)
    assert.ok(all.includes(topic) && all.includes(other))
    assert.deepEqual(await admin.describeTopics([]), [])
  },
}

const refusesExisting: ConformanceCase = {
  title:
    'a topic that exists is MILLRACE_TOPIC_EXISTS; those before it are created, those after it not',
  async run(world) {
    const { admin } = world.log
    const topic = await world.create('exists', 2)
    const [before, after] = [world.topic('before'), world.topic('after')]
    const topics = [before, topic, after].map((name) => ({ topic: name, partitions: 1 }))
    await assertRejects(admin.createTopics(topics), {
      code: 'MILLRACE_TOPIC_EXISTS',
      says: [topic],
    })
    const described = await admin.describeTopics([topic, after, before])
    assert.deepEqual(described.map((one) => one.topic).toSorted(), [before, topic].toSorted())
    assert.equal(described.find((one) => one.topic === topic)?.partitions, 2)
  },
}

const deletesTopics: ConformanceCase = {
  title: 'a topic created again after its deletion is empty and has another id',
  async run(world) {
    const { admin } = world.log
    const topic = await world.create('again', 2)
    const [first] = await admin.describeTopics([topic])
    await using producer = await world.producer()
    await sendNow(producer, topic, 'old')
    await admin.deleteTopics([topic])
    assert.deepEqual(await admin.describeTopics([topic]), [])
    await world.create('again')
    const [second] = await admin.describeTopics([topic])
    assert.notEqual(second?.topicId, first?.topicId)
    assert.equal(second?.partitions, 1)
    assert.equal(await world.end(topic), 0)
  },
}

const tellsEnds: ConformanceCase = {
  title: 'offsets answers both ends in the order asked',
  async run(world) {
    const { admin } = world.log
    const topic = await world.create('ends', 3)
    await using producer = await world.producer()
    for (const partition of [1, 1, 1, 2]) {
      producer.send(record(topic, 'x', { partition: asPartition(partition) }))
    }
    await producer.flush()
    const asked = [at(topic, 2), at(topic, 0), at(topic, 1)]
    assert.deepEqual(await admin.offsets(asked, 'latest', 'read_committed'), [1, 0, 3])
    assert.deepEqual(await admin.offsets(asked, 'latest', 'read_uncommitted'), [1, 0, 3])
    assert.deepEqual(await admin.offsets(asked, 'earliest', 'read_committed'), [0, 0, 0])
    assert.deepEqual(await admin.offsets([], 'latest', 'read_committed'), [])
  },
}

const refusesUnknown: ConformanceCase = {
  title: 'offsets of an unknown topic or partition are MILLRACE_UNKNOWN_PARTITION',
  async run(world) {
    const { admin } = world.log
    const topic = await world.create('one')
    for (const unknown of [at(world.topic('none')), at(topic, 1)]) {
      await assertRejects(admin.offsets([at(topic), unknown], 'latest', 'read_committed'), {
        code: 'MILLRACE_UNKNOWN_PARTITION',
        says: [`${unknown.topic}[${unknown.partition}]`],
      })
    }
  },
}

/** Topics, and where their partitions begin and end. */
export const ADMIN_CASES: readonly ConformanceCase[] = [
  describesTopics,
  refusesExisting,
  deletesTopics,
  tellsEnds,
  refusesUnknown,
]
