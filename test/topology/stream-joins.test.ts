import { describe, expect, test } from 'vitest'
import { joinWindows } from '../../processors/join-windows.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { checkPartitions } from '../../topology/partitions.ts'
import { TopologyError } from '../../topology/problem.ts'
import { repartitionCounts } from '../../topology/repartition-counts.ts'
import type { KStream } from '../../topology/stream.ts'

const SERDES = { key: text, value: text }
const STEP = { windows: joinWindows(10), value: text }
const both = (left: string | null, right: string | null): string => `${left}${right}`

/** The codes and places of what is wrong with a topology. */
function problemsOf(declare: () => unknown): readonly (readonly [string, string])[] {
  try {
    declare()
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error
    return error.problems.map(({ code, place }) => [code, place])
  }
  return []
}

describe('a join of two streams', () => {
  test('needs topics that choose partitions alike', () => {
    const declare = () =>
      topology('t', ({ stream }) => {
        const left = stream('left', { ...SERDES, partitionBy: (key) => key.slice(1) })
        left.join(stream('right', SERDES), both, { ...STEP, name: 'meet' }).to('out')
      })
    expect(problemsOf(declare)).toEqual([['MILLRACE_TOPOLOGY_NOT_COPARTITIONED', 'meet-merge']])
  })

  test('needs topics with as many partitions', () => {
    const joined = topology('t', ({ stream }) => {
      stream('left', SERDES).outerJoin(stream('right', SERDES), both, STEP).to('out')
    })
    const counts = new Map(Object.entries({ left: 2, right: 3, out: 1 }))
    expect(checkPartitions(joined, counts).map(({ code }) => code)).toEqual([
      'MILLRACE_TOPOLOGY_PARTITIONS_DIFFER',
    ])
  })

  test('brings a side whose key was changed to where the other one is', () => {
    const joined = topology('t', ({ stream }) => {
      const left = stream('left', SERDES).selectKey(({ value }) => value, { key: text })
      left.leftJoin(stream('right', SERDES), both, { ...STEP, name: 'meet' }).to('out')
    })
    expect(joined.repartitions.map(({ topic }) => topic)).toEqual(['meet-left-repartition'])
    const counts = new Map(Object.entries({ left: 2, right: 3 }))
    expect([...repartitionCounts(joined, counts).values()]).toEqual([3])
  })

  test('keeps both sides, and what waits where something comes out alone', () => {
    const storesOf = (join: 'join' | 'leftJoin') =>
      topology('t', ({ stream }) => {
        const [left, right] = [stream('left', SERDES), stream('right', SERDES)]
        const step = { ...STEP, store: 'kept', persistent: false, logged: false }
        const out: KStream<string, string> =
          join === 'join' ? left.join(right, both, step) : left.leftJoin(right, both, step)
        out.to('out', SERDES)
      }).stores.map(({ spec }) => spec)
    expect(storesOf('join').map(({ name }) => name)).toEqual([
      'kept-this-join-store',
      'kept-other-join-store',
    ])
    const stores = storesOf('leftJoin')
    expect(stores.map(({ name, kind }) => [name, kind])).toEqual([
      ['kept-this-join-store', 'join-window'],
      ['kept-outer-other-join-store', 'join-window'],
      ['kept-left-shared-join-store', 'key-value'],
    ])
    expect(stores.every(({ persistent, logged }) => !persistent && !logged)).toBe(true)
  })

  test('refuses a stream of another topology, a value without serde and a window that is none', () => {
    let foreign: KStream<string, string> | undefined
    topology('other', ({ stream }) => {
      foreign = stream('far', SERDES)
      foreign.to('away')
    })
    const declare = () =>
      topology('t', ({ stream }) => {
        const left: KStream<string, string> = stream('left', SERDES).mapValues((value) => value)
        if (foreign !== undefined) left.join(foreign, both, { ...STEP, name: 'meet' }).to('out')
      })
    expect(problemsOf(declare)).toEqual([
      ['MILLRACE_TOPOLOGY_SERDE_MISSING', 'meet-merge'],
      ['MILLRACE_TOPOLOGY_FOREIGN_STREAM', 'meet-merge'],
    ])
    const windows = { beforeMs: -5, afterMs: 4, graceMs: 0 }
    expect(() =>
      topology('t', ({ stream }) => {
        const left = stream('left', SERDES)
        left.join(left, both, { ...STEP, windows }).to('out')
      }),
    ).toThrow(RangeError)
  })
})
