/**
 * Bugs that were planted to show that the simulation finds them: wrong lists of steps for commit and
 * start, and, where no list of steps can be wrong enough, a wrong log or a wrong service behind the
 * public seams. Nothing in the product knows of them.
 */
import {
  apply,
  commitTransaction,
  EXACTLY_ONCE,
  flush,
  logChanges,
  release,
  seal,
  sendOffsets,
  type CommitStep,
} from '../../runtime/commit.ts'
import { letGo } from '../../runtime/release.ts'
import { readOffsets, START } from '../../runtime/start.ts'
import type { Cursor, Reader, Transport } from '../../transport/transport.ts'
import { replaced } from './replaced.ts'
import { parts } from './scenarios/parts.ts'
import { tables } from './scenarios/tables.ts'
import { words } from './scenarios/words.ts'
import type { Planted, RunOptions } from './world.ts'

/** A bug, and the worlds in which it can show. */
export interface PlantedBug extends Pick<RunOptions, 'scenarios' | 'mode'> {
  readonly planted: Planted
  /** A seed that is known to find it: tried first. */
  readonly knownSeed: number
}

/** Flushes what was sealed to the database as soon as it is sealed. */
const applyEarly: CommitStep = {
  name: 'applyEarly',
  run: ({ tasks, progress }) => {
    for (const task of tasks) task.apply(progress.acknowledged, progress.offsets)
  },
}

/** Deletes what was read of repartition topics as soon as it is sealed. */
function purgeEarly({ admin }: Transport): CommitStep {
  return {
    name: 'purgeEarly',
    run: async ({ progress }) => {
      const read = progress.offsets.filter(({ topic }) => topic.endsWith('-repartition'))
      await admin.deleteRecords(read).catch(() => {})
    },
  }
}

/** Says that a changelog ends where its last stable offset is: an open transaction of the predecessor is overlooked. */
function stableEnds(transport: Transport): Transport {
  const { admin } = transport
  return replaced(transport, {
    admin: replaced(admin, {
      offsets: async (partitions, end) => await admin.offsets(partitions, end, 'read_committed'),
    }),
  })
}

/** Gives a partition nothing while others hold the whole budget. */
function starving(transport: Transport): Transport {
  return replaced(transport, {
    openReader: (options) => {
      const reader = transport.openReader(options)
      if (options.isolation !== 'read_committed') return reader
      return starvingReader(reader, options.prefetchBytes)
    },
  })
}

function starvingReader(reader: Reader, prefetchBytes: number): Reader {
  const held = new Map<Cursor, number>()
  return replaced(reader, {
    open: (at) => {
      const cursor = reader.open(at)
      held.set(cursor, 0)
      return replaced(cursor, {
        take: () => {
          // What this one took last still lies in its queue until it asks for more.
          held.set(cursor, 0)
          const others = [...held.values()].reduce((sum, bytes) => sum + bytes, 0)
          if (others >= prefetchBytes) return undefined
          const batch = cursor.take()
          held.set(cursor, batch?.sizeBytes ?? 0)
          return batch
        },
      })
    },
  })
}

/** Does not tell its unit that the group has put it out: what it had begun goes on under the next member id. */
function deafToLoss(transport: Transport): Transport {
  return replaced(transport, {
    openMembership: (options) =>
      transport.openMembership({
        ...options,
        listener: replaced(options.listener, { lost: async () => {} }),
      }),
  })
}

function steps(...commit: readonly CommitStep[]): Planted {
  return { commit: () => commit }
}

/** By the name of the bug. */
export const PLANTED: Readonly<Record<string, PlantedBug>> = {
  'offsets before outputs': {
    planted: steps(seal, sendOffsets, commitTransaction, logChanges, flush, apply, release),
    knownSeed: 1,
  },
  'LevelDB before the commit': {
    planted: steps(seal, logChanges, flush, applyEarly, sendOffsets, commitTransaction, release),
    knownSeed: 53,
  },
  'a send of N+1 before N is resolved': {
    planted: steps(seal, logChanges, flush, sendOffsets, release, commitTransaction, apply),
    knownSeed: 1,
  },
  'offsets read before init': {
    planted: { start: [readOffsets, ...START.filter((step) => step !== readOffsets)] },
    knownSeed: 672,
  },
  'the last stable offset as the end of a restore': {
    planted: { transport: stableEnds },
    knownSeed: 269,
  },
  'a partition that the byte budget starves': {
    planted: { transport: starving },
    scenarios: [tables],
    knownSeed: 2,
  },
  'a late answer of an old session': {
    planted: { areAnswersLate: true },
    scenarios: [parts],
    knownSeed: 1,
  },
  'a revoked task that is not committed': {
    planted: { release: [letGo] },
    mode: 'group',
    knownSeed: 35,
  },
  'a transaction kept over a changed member id': {
    planted: { transport: deafToLoss },
    mode: 'group',
    knownSeed: 196,
  },
  'a purge before the commit': {
    planted: {
      commit: (transport) =>
        EXACTLY_ONCE.flatMap((step) => (step === seal ? [seal, purgeEarly(transport)] : [step])),
    },
    scenarios: [words],
    knownSeed: 3,
  },
}
