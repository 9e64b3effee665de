/** Makes the application of each process: the same topology everywhere, limits of its own in every life. */
import { isMillraceError } from '../../model/errors.ts'
import { streams, type StreamsApp } from '../../runtime/app.ts'
import { AT_LEAST_ONCE, EXACTLY_ONCE } from '../../runtime/commit.ts'
import type { Guarantee, StreamsEvent, StreamsLimits } from '../../runtime/config.ts'
import type { Registry } from '../../serdes/registry.ts'
import type { SeededRandom } from '../../testing/seeded-random.ts'
import { topology } from '../../topology/builder.ts'
import type { Topology } from '../../topology/graph.ts'
import { overwriting } from '../overwritten-batches.ts'
import { ByteBounds } from './byte-bounds.ts'
import type { Fates } from './fates.ts'
import type { ShareStart } from './fleet.ts'
import type { SimulatedProcess } from './process.ts'
import type { ScenarioServices } from './scenario.ts'
import type { WorldShape } from './shape.ts'
import type { Planted } from './world.ts'

/** The name of every simulated application. */
export const APPLICATION = 'sim'

/** Transactions of the dead are aborted after this. */
const TRANSACTION_TIMEOUT_MS = 2_000

/** A process that was not heard of for this long is out of its group. */
export const SESSION_TIMEOUT_MS = 1_000

/** What apps are made of. */
export interface AppFactoryParts {
  readonly fates: Fates
  readonly shape: WorldShape
  readonly registry: Registry
  readonly guarantee: Guarantee
  readonly planted: Planted
  readonly largestBatchBytes: () => number
  readonly note: (what: string) => void
}

/** The apps of one world. */
export class AppFactory {
  readonly #parts: AppFactoryParts
  readonly #areServicesBad: boolean
  readonly #bounds = new Map<SimulatedProcess, ByteBounds>()

  constructor(parts: AppFactoryParts) {
    this.#parts = parts
    this.#areServicesBad = parts.fates.strikes(
      'services',
      1,
      () => 'are slow and fail now and then',
    )
  }

  /** The topology of one process, or of none: to look at. */
  topology(services: Pick<ScenarioServices, 'clock' | 'random'>): Topology {
    const { fates, shape, planted } = this.#parts
    const all: ScenarioServices = {
      ...services,
      areServicesBad: this.#areServicesBad,
      areAnswersLate: planted.areAnswersLate === true,
      fixed: (name) => fates.of(`fixed ${name}`),
    }
    return topology(APPLICATION, (builder) => {
      for (const { declare } of shape.scenarios) declare(builder, all)
    })
  }

  /** The app of a process, not started. */
  make({ share, process }: ShareStart): StreamsApp {
    const { fates, shape, registry, guarantee, planted, note, largestBatchBytes } = this.#parts
    const { clock, name } = process
    const limits = limitsOf(fates.of(`${name} limits`))
    const bounds = new ByteBounds(largestBatchBytes)
    this.#bounds.set(process, bounds)
    // A batch that is read after it was given back shows as a wrong output.
    const connection = overwriting(process.transport)
    const transport = bounds.watch(planted.transport?.(connection) ?? connection)
    const right = guarantee === 'exactly-once' ? EXACTLY_ONCE : AT_LEAST_ONCE
    const commit = planted.commit?.(transport) ?? right
    return streams(this.topology({ clock, random: fates.of(`${name} services`) }), {
      transport,
      registry,
      clock,
      guarantee,
      limits,
      ...assigned(shape.shares[share]),
      state: { kind: 'given', open: async (unit) => process.open(unit) },
      steps: {
        commit: bounds.watchSteps(commit, limits.heldBytes),
        ...(planted.start === undefined ? {} : { start: planted.start }),
        ...(planted.release === undefined ? {} : { release: planted.release }),
      },
      onEvent: (event) => {
        if (process.isRunning) note(`${name} ${described(event)}`)
      },
    })
  }

  /** What is beyond its bound now in any process; undefined where nothing is. */
  lookAtBounds(): string | undefined {
    for (const [process, bounds] of this.#bounds) {
      if (!process.isRunning) this.#bounds.delete(process)
      const beyond = bounds.look()
      if (beyond !== undefined) return `${process.name}: ${beyond}`
    }
    return undefined
  }
}

function assigned(assignment: WorldShape['shares'][number] | undefined) {
  return assignment === undefined ? {} : { assignment }
}

function limitsOf(random: SeededRandom) {
  return {
    offsetsPendingMs: 20_000,
    commitIntervalMs: 20 + random.below(200),
    commitBytes: random.pick([1, 2_000, 1_000_000]),
    transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
    sliceRecords: 1 + random.below(8),
    heldBytes: random.pick([1, 2_000, 1_000_000]),
    prefetchBytes: random.pick([1, 5_000, 1_000_000]),
    payloadBytes: random.pick([1, 1_000_000]),
    restartBackoffMs: 10,
    repartitionPurgeMs: random.pick([1, 200, 30_000]),
    flushIntervalMs: random.pick([0, 50, 2_000]),
    flushBytes: random.pick([1, 1_000_000]),
    maxTaskIdleMs: random.pick([0, 0, 100]),
    stateCleanupDelayMs: random.pick([500, 600_000]),
    sessionTimeoutMs: SESSION_TIMEOUT_MS,
    rebalanceTimeoutMs: 2_000,
    heartbeatIntervalMs: 50 + random.below(200),
    standbyIntervalMs: 20 + random.below(200),
    stateCacheBytes: random.pick([0, 500, 1_000_000]),
    replayBytes: random.pick([0, 500, 1_000_000]),
  } satisfies Partial<StreamsLimits>
}

/** An event as a line of the trace. */
function described(event: StreamsEvent): string {
  return JSON.stringify(event, (_, value: unknown) =>
    value instanceof Error ? (isMillraceError(value) ? value.code : value.message) : value,
  )
}
