/**
 * One process of the benchmark of restarts: an app that keeps a row of 10 KiB for each key and changes
 * one with each record. It tells when its partitions became its own, beside what every app tells.
 */
import { argv } from 'node:process'
import type { Clock } from '../../model/clock.ts'
import { streams } from '../../runtime/app.ts'
import { EXACTLY_ONCE, type CommitStep } from '../../runtime/commit.ts'
import { START, type StartStep } from '../../runtime/start.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { bytes, text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import type { Topology } from '../../topology/graph.ts'
import { openKafka } from '../../transport/kafka/open.ts'
import type { MembershipListener } from '../../transport/membership.ts'
import type { Transport } from '../../transport/transport.ts'
import { eventLine } from '../told-process.ts'
import { DONE, ROW_BYTES, SESSION_MS, WORK, type RestorePlace } from './restore-shape.ts'

const place = JSON.parse(argv[2] ?? '{}') as RestorePlace
const clock = systemClock()
process.stdin.resume().once('end', () => process.exit(1))
await using kafka = await openKafka({ brokers: place.brokers, clock })
const app = streams(rows(), {
  transport: tellingWhatIsOwned(kafka),
  clock,
  registry: memoryRegistry(),
  state: { kind: 'folder', folder: place.folder },
  assignment: { kind: 'group', instanceId: place.instance, standbys: 1 },
  limits: { sessionTimeoutMs: SESSION_MS, heartbeatIntervalMs: 1_000 },
  steps: {
    start: START.map((step) => tellingEach(step)),
    commit: EXACTLY_ONCE.map((step) => tellingFirst(step)),
  },
  onEvent: (event) => tell({ ...event }, clock),
})
process.once('SIGTERM', () => void app.close().catch(() => {}))
tell({ kind: 'starts' }, clock)
await app.start()
await app.closed
process.stdin.destroy()

/** The row of a key is as good as new after each record: all of it changes. */
function rows(): Topology {
  return topology('restore', ({ stream }) => {
    stream(WORK, { key: text, value: text })
      .groupByKey()
      .aggregate(
        { initial: () => Buffer.alloc(0), add: (_, n, key) => Buffer.alloc(ROW_BYTES, key + n) },
        { store: 'rows', value: bytes },
      )
      .toStream()
      .mapValues((row) => String(row?.length), { value: text })
      .to(DONE)
  })
}

/** The same step, which tells when it is done. */
function tellingEach(step: StartStep): StartStep {
  return {
    name: step.name,
    run: async (round) => {
      await step.run(round)
      tell({ kind: step.name }, clock)
    },
  }
}

/** The same step, which tells when it is done for the first time. */
function tellingFirst(step: CommitStep): CommitStep {
  let isFirst = true
  return {
    name: step.name,
    // What is synchronous stays so: the first step is done before the loop goes on.
    run: (round) => {
      const tellOnce = (): void => {
        if (isFirst) tell({ kind: step.name }, clock)
        isFirst = false
      }
      const waiting = step.run(round)
      if (waiting !== undefined) return waiting.then(tellOnce)
      tellOnce()
      return undefined
    },
  }
}

function tellingWhatIsOwned(log: Transport): Transport {
  return {
    admin: log.admin,
    openReader: (options) => log.openReader(options),
    openProducer: (options) => log.openProducer(options),
    openMembership: (options) =>
      log.openMembership({ ...options, listener: telling(options.listener) }),
    [Symbol.asyncDispose]: async () => await log[Symbol.asyncDispose](),
  }
}

function telling(listener: MembershipListener): MembershipListener {
  return {
    joining: async () => await listener.joining(),
    revoked: async (partitions) => await listener.revoked(partitions),
    lost: async (partitions) => await listener.lost(partitions),
    assigned: async (share) => {
      if (share.all.length > 0) tell({ kind: 'owned' }, clock)
      await listener.assigned(share)
    },
  }
}

function tell(event: Readonly<Record<string, unknown>>, time: Clock): void {
  const { user, system } = process.cpuUsage()
  const told = { at: time.now(), cpuMs: (user + system) / 1_000, ...event }
  process.stdout.write(eventLine(told))
}
