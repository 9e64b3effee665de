/**
 * The video pipeline on a real cluster, by the commands alone: videos come in while processes of a
 * group come and go, and every chunk comes out once, with its bytes.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openLog, type OpenLog } from '../../cli/open-log.ts'
import { sleep } from '../../model/clock.ts'
import { asPartition, type Topic } from '../../model/position.ts'
import { PayloadCache } from '../../runtime/payload-cache.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { makeClip } from '../../video/clip.ts'
import { readJoinedVideo, reassembleJoined } from '../../video/joined-video.ts'
import { JOINED_TOPIC, partitionOfVideo, RAW_TOPIC } from '../../video/topics.ts'
import { readVideos } from '../video/all-videos.ts'
import { folderWith, millrace, start, type Running } from '../cli/millrace.ts'
import { TestCluster } from './broker.ts'

const PARTITIONS = 4
const GROUP = 'video-enrichment'
/** How long the group may take to share the work out anew, or to do it. */
const PATIENCE_MS = 180_000
const clock = systemClock()

const PIPELINE = `
import { instant } from '${new URL('../../video/annotators/instant.ts', import.meta.url).href}'
import { videoEnrichment } from '${new URL('../../video/pipeline.ts', import.meta.url).href}'
export default videoEnrichment(instant())
`

/** Where commands run, and what every one of them is told. */
interface Stage {
  readonly folder: string
  readonly log: readonly string[]
  readonly opened: OpenLog
}

/** Ends well, or the test fails with what it said. */
async function succeed({ folder, log }: Stage, args: readonly string[]): Promise<string> {
  const ended = await millrace([...args, ...log], folder)
  expect(ended, ended.stderr).toMatchObject({ code: 0 })
  return ended.stdout
}

function startMember({ folder, log }: Stage): Running {
  const running = start(['run', 'video.ts', ...log, '--group', '--state', 'state'], folder)
  onTestFinished(() => void running.child.kill('SIGKILL'))
  return running
}

async function stopMember(member: Running): Promise<void> {
  member.child.kill('SIGTERM')
  const ended = await member.ended
  expect(ended, ended.stderr).toMatchObject({ code: 0 })
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const end = clock.monotonic() + PATIENCE_MS
  while (!(await isSo())) {
    expect(clock.monotonic(), `waiting until ${what}`).toBeLessThan(end)
    await sleep(clock, 200)
  }
}

/** Waits until so many members have all partitions between them, and each has some. */
async function untilShared({ opened }: Stage, members: number): Promise<void> {
  await until(`${members} share the work`, async () => {
    const group = await opened.transport.admin.describeGroup(GROUP)
    const owned = group.map(({ partitions }) => partitions.length)
    const all = owned.reduce((sum, count) => sum + count, 0)
    return owned.length === members && all === PARTITIONS && owned.every((count) => count > 0)
  })
}

/** Records that the topic has, markers of transactions among them. */
async function endsOf({ opened }: Stage, topic: Topic): Promise<number> {
  const places = Array.from({ length: PARTITIONS }, (_, at) => {
    return { topic, partition: asPartition(at) }
  })
  const ends = await opened.transport.admin.offsets(places, 'latest', 'read_committed')
  return ends.reduce<number>((sum, end) => sum + end, 0)
}

async function ingestVideos(stage: Stage, clip: string, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const args = ['--id', id, '--chunk', '128KiB', '--partitions', String(PARTITIONS)]
    expect(await succeed(stage, ['ingest', clip, ...args])).toContain(`ingested as ${id}`)
  }
}

/** Every video has each of its chunks once, and they make up the file. */
async function verify({ opened }: Stage, sha256: string, ids: readonly string[]): Promise<number> {
  const { transport, registry } = opened
  const rows = await readVideos({ transport, registry, clock }, PARTITIONS)
  expect([...rows.keys()].toSorted()).toEqual(ids.toSorted())
  const [raw] = await transport.admin.describeTopics([RAW_TOPIC])
  await using reader = transport.openReader({ isolation: 'read_uncommitted', prefetchBytes: 0 })
  const payloads = new PayloadCache(reader, { maxBytes: 2 ** 20 })
  payloads.addTopic(raw?.topicId ?? '', RAW_TOPIC)
  let chunks = 0
  for (const [videoId, row] of rows) {
    const source = { transport, registry, clock, payloads }
    const partition = partitionOfVideo(videoId, PARTITIONS)
    const joined = await readJoinedVideo(source, { videoId, partition })
    expect({ videoId, records: joined.records }).toEqual({ videoId, records: row.chunks })
    const whole = await reassembleJoined(source, joined, row)
    expect(whole.sha256).toBe(sha256)
    chunks += row.chunks
  }
  return chunks
}

test(
  'processes of a group come and go while videos come in: each chunk comes out once, with its bytes',
  { timeout: 900_000 },
  async () => {
    await using cluster = await TestCluster.start()
    await using folder = await folderWith({ 'video.ts': PIPELINE })
    const brokers = cluster.brokers.join()
    const schemas = { kind: 'file', path: join(folder.path, 'schemas.jsonl') } as const
    const place = { kind: 'kafka', brokers, propertiesFile: undefined, environment: {} } as const
    await using opened = await openLog({ ...place, schemas }, { clock })
    const log = ['--brokers', brokers, '--schemas', 'schemas.jsonl']
    const stage: Stage = { folder: folder.path, log, opened }
    const { path: clip } = await makeClip({ folder: folder.path, size: 'small' })
    const sha256 = createHash('sha256')
      .update(await readFile(clip))
      .digest('hex')

    const made = ['topics', 'video.ts', '--create', '--partitions', String(PARTITIONS)]
    await succeed(stage, [...made, '--chunk', '10MiB'])
    await ingestVideos(stage, clip, ['before-1', 'before-2'])
    const first = startMember(stage)
    const second = startMember(stage)
    await untilShared(stage, 2)
    await ingestVideos(stage, clip, ['two-1', 'two-2'])
    const third = startMember(stage)
    const busy = ingestVideos(stage, clip, ['three-1', 'three-2'])
    await untilShared(stage, 3)
    await busy
    await stopMember(third)
    await untilShared(stage, 2)
    await ingestVideos(stage, clip, ['given-back'])
    await stopMember(first)
    await untilShared(stage, 1)
    await ingestVideos(stage, clip, ['alone'])

    const ids = [
      'before-1',
      'before-2',
      'two-1',
      'two-2',
      'three-1',
      'three-2',
      'given-back',
      'alone',
    ]
    const rows = await readVideos({ ...opened, clock }, PARTITIONS)
    const expected = [...rows.values()].reduce((sum, { chunks }) => sum + chunks, 0)
    await until('everything is joined', async () => (await endsOf(stage, JOINED_TOPIC)) > expected)
    await stopMember(second)
    // What was not done yet is done by a last run, and nothing of it twice.
    await succeed(stage, ['run', 'video.ts', '--group', '--state', 'state', '--until-caught-up'])
    const chunks = await verify(stage, sha256, ids)
    expect(chunks).toBe(expected)
    const shown = await succeed(stage, ['tail', JOINED_TOPIC, '--json'])
    expect(shown.trimEnd().split('\n')).toHaveLength(chunks)
  },
)
