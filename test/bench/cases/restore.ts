/**
 * How long a process takes to go on that was killed with gigabytes of state, on a Kafka broker of its
 * own: started again on its folder, taken over by another one that kept a copy, and with the folder
 * lost. What counts is from the moment at which the partitions are owned to the first new output that
 * is committed; the rate is that of the restore in full. Records keep coming all the while.
 *
 * With MILLRACE_BENCH_STORY=1 it tells when each process did what, and how much processor time it had
 * used by then, which says more than the time does on a machine that is busy.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '../../../model/clock.ts'
import { systemClock } from '../../../runtime/system-clock.ts'
import { openKafka } from '../../../transport/kafka/open.ts'
import { TestCluster } from '../../kafka/broker.ts'
import type { BenchCase, BenchPlace, BenchWork, Measure } from '../bench-case.ts'
import { RestoreFeed } from '../restore-feed.ts'
import { RestoreProcess } from '../restore-process.ts'
import { ROW_BYTES, SESSION_MS, TOPICS } from '../restore-shape.ts'

const clock = systemClock()
/** How long a process works before it is killed: longer than anything of it waits to be written. */
const WORK_MS = 6_000
/** Filling four gigabytes takes minutes. */
const DEADLINE_MS = 30 * 60_000

/** A broker, records, and processes on it. */
interface Stage {
  readonly feed: RestoreFeed
  readonly start: (instance: string) => RestoreProcess
  readonly folderOf: (instance: string) => string
}

/** What was measured of one process that goes on. */
interface Recovery {
  readonly ownedToOutputMs: number
  /** Since the kill, or since the new process was started. */
  readonly sinceMs: number
  readonly records: number
}

async function measureRestarts(
  sizeBytes: number,
  place: BenchPlace,
  measure: Measure,
): Promise<void> {
  await using cluster = await TestCluster.start()
  const { brokers } = cluster
  await using log = await openKafka({ brokers, clock })
  await log.admin.createTopics(TOPICS.map((topic) => ({ topic, partitions: 1 })))
  await using feed = new RestoreFeed(log, clock, Math.ceil(sizeBytes / ROW_BYTES))
  const folderOf = (instance: string): string => join(place.folder, instance)
  const processes: RestoreProcess[] = []
  const start = (instance: string): RestoreProcess => {
    const process = new RestoreProcess({ brokers, folder: folderOf(instance), instance }, clock)
    processes.push(process)
    return process
  }
  const stage = { feed, start, folderOf }
  try {
    const first = start('a')
    await feed.fill()
    await feed.untilDone()
    const restart = await restarted(stage, first)
    const takeover = await takenOver(stage, restart.process)
    await takeover.process.kill()
    await rm(folderOf('b'), { recursive: true })
    await measure(async () => await restoredInFull(stage, restart, takeover))
  } finally {
    await Promise.all(processes.map((process) => process.kill()))
  }
}

type Ran = Recovery & { readonly process: RestoreProcess }

/** Kills a process at work, and starts it again on what it had. */
async function restarted({ feed, start }: Stage, running: RestoreProcess): Promise<Ran> {
  feed.work()
  await sleep(clock, WORK_MS)
  await running.kill()
  const output = feed.nextOutput()
  const process = start('a')
  return {
    process,
    ...(await recovery(process, { output, sinceMs: process.startedAtMs, from: 0 })),
  }
}

/** Another process makes a copy of the state, and has it when the owner is killed. */
async function takenOver({ feed, start, folderOf }: Stage, running: RestoreProcess): Promise<Ran> {
  await feed.rest()
  await feed.untilDone()
  const process = start('b')
  await process.says(({ kind, remaining }) => kind === 'restoring' && remaining === 0)
  feed.work()
  await sleep(clock, WORK_MS)
  const from = process.events.length
  const sinceMs = clock.now()
  await running.kill()
  const output = feed.nextOutput()
  const reading = await recovery(process, { output, sinceMs, from })
  await feed.rest()
  await feed.untilDone()
  await rm(folderOf('a'), { recursive: true })
  return { process, ...reading }
}

async function recovery(
  process: RestoreProcess,
  about: { readonly output: Promise<number>; readonly sinceMs: number; readonly from: number },
): Promise<Recovery> {
  const { sinceMs, from } = about
  const owned = await process.says(({ kind }) => kind === 'owned', from)
  const outputMs = await about.output
  process.tellStory({ from, sinceMs, outputMs })
  return {
    ownedToOutputMs: outputMs - owned.at,
    sinceMs: outputMs - sinceMs,
    records: process.restored(from),
  }
}

/** Of a process that has nothing. */
async function restoredInFull(
  { start }: Stage,
  restart: Recovery,
  takeover: Recovery,
): Promise<BenchWork> {
  const process = start('b')
  await process.runs()
  const records = process.restored()
  return {
    amount: records * ROW_BYTES,
    elsewhere: true,
    bytes: { replayed: restart.records * ROW_BYTES },
    times: {
      'restart: owned to output': restart.ownedToOutputMs,
      'start to output': restart.sinceMs,
      'copy: owned to output': takeover.ownedToOutputMs,
      'kill to output': takeover.sinceMs,
    },
  }
}

/** The case. */
export const restore: BenchCase = {
  name: 'restore',
  summary: `kill -9 with state on Kafka (session ${SESSION_MS / 1_000} s): the first new output, and a full restore in MB/s`,
  unit: 'bytes',
  compares: false,
  needsBroker: true,
  childDeadlineMs: DEADLINE_MS,
  variants: [
    {
      name: 'a quarter of the size',
      run: async (place, measure) => await measureRestarts(place.sizeBytes / 4, place, measure),
    },
    {
      name: 'the size',
      run: async (place, measure) => await measureRestarts(place.sizeBytes, place, measure),
    },
  ],
}
