/** What holds of every assignment, over seeded random groups whose members come and go. */
import { describe, expect, test } from 'vitest'
import { sharesOf } from '../../runtime/group-shares.ts'
import { seeded } from '../state/fixtures-random.ts'
import { drawnSeed } from '../seed.ts'
import { PaperGroup, type PaperMember, type PaperShare } from './group-cases.ts'

const SEED = drawnSeed(1_000_000)
console.log(`group assignor: MILLRACE_SEED=${SEED}`)

type Random = (below: number) => number
type Shares = ReadonlyMap<string, PaperShare>

/** The members of the next generation: some leave, some come, the others say what they were given. */
function nextMembers(shares: Shares, random: Random): PaperMember[] {
  const stay = [...shares].filter(() => random(5) > 0)
  const members: PaperMember[] = stay.map(([name, { tasks, told }]) => {
    const dormant = [...told.standbys, ...tasks].map((id) => ({ id, lag: random(3) * 8_000 }))
    return { name, owns: tasks, generation: 1, data: { tasks: dormant } }
  })
  const fresh = random(3) + (members.length === 0 ? 1 : 0)
  for (let i = 0; i < fresh; i += 1) members.push({ name: `m${random(1_000_000)}` })
  return members
}

function randomGroup(random: Random): PaperGroup {
  const counts = Array.from({ length: 1 + random(4) }, () => 1 + random(6))
  return new PaperGroup(counts, random(3))
}

function moved(members: readonly PaperMember[], shares: Shares): number {
  return members
    .flatMap(({ name, owns = [] }) => owns.map((task) => ({ name, task })))
    .filter(({ name, task }) => shares.get(name)?.tasks.includes(task) !== true).length
}

/** Plays generations of random groups. */
function play(groups: number, look: (seen: Seen) => void): void {
  const random = seeded(SEED)
  for (let g = 0; g < groups; g += 1) {
    const group = randomGroup(random)
    let shares: Shares = new Map()
    for (let generation = 0; generation < 6; generation += 1) {
      const members = nextMembers(shares, random)
      shares = group.assign(members)
      look({ group, members, shares, random })
    }
  }
}

interface Seen {
  readonly group: PaperGroup
  readonly members: readonly PaperMember[]
  readonly shares: Shares
  readonly random: Random
}

const spread = (counts: readonly number[]): number => Math.max(...counts) - Math.min(...counts)

describe('every assignment', () => {
  test('gives each task to one member', () => {
    play(300, ({ group, shares }) => {
      const given = [...shares.values()].flatMap(({ tasks }) => tasks)
      expect(given.toSorted()).toEqual(group.tasks.toSorted())
    })
  })

  test('is even over all tasks and within each sub-topology', () => {
    play(300, ({ group, shares }) => {
      const all = [...shares.values()]
      expect(spread(all.map(({ tasks }) => tasks.length))).toBeLessThanOrEqual(1)
      for (const id of group.counts.keys()) {
        const own = all.map(({ tasks }) => tasks.filter((task) => task.startsWith(`${id}_`)).length)
        expect(spread(own)).toBeLessThanOrEqual(1)
      }
    })
  })

  test('puts as many copies as there are other processes for, and no two on one', () => {
    play(300, ({ group, members, shares }) => {
      const copies = Math.min(group.standbys, members.length - 1)
      for (const task of group.tasks) {
        const on = [...shares.values()].filter(({ told }) => told.standbys.includes(task))
        expect(on).toHaveLength(copies)
        expect(on.some(({ tasks }) => tasks.includes(task))).toBe(false)
      }
    })
  })

  test('is the same whoever computes it', () => {
    play(200, ({ group, members, shares, random }) => {
      const shuffled = members.toSorted(() => random(3) - 1)
      const again = group.assign(shuffled)
      for (const { name } of members) expect(again.get(name)).toEqual(shares.get(name))
    })
  })

  test('is kept by the next one: after what is given up comes a generation in which nothing is', () => {
    play(200, ({ group, members, shares }) => {
      const meanwhile = members.map((member) => {
        const { owns = [], data } = member
        const kept = owns.filter((task) => shares.get(member.name)?.tasks.includes(task) === true)
        return { ...member, owns: kept, generation: 2, ...(data === undefined ? {} : { data }) }
      })
      const next = group.assign(meanwhile)
      expect(moved(meanwhile, next)).toBe(0)
    })
  })

  test('moves as few tasks as evenness allows', () => {
    play(150, ({ group, members, shares }) => {
      if (group.counts.length * members.length > 12) return
      expect(moved(members, shares)).toBe(fewestMoves(group, members))
    })
  })

  test('moves nothing when a member leaves that took no more than its share, where the rest stays even', () => {
    const random = seeded(SEED)
    for (let i = 0; i < 200; i += 1) {
      const group = new PaperGroup([2 + random(20)])
      const count = 2 + random(5)
      const first = group.assign(Array.from({ length: count }, (_, m) => ({ name: `m${m}` })))
      const gone = `m${random(count)}`
      const left = [...first].filter(([name]) => name !== gone)
      const members = left.map(([name, { tasks }]) => ({ name, owns: tasks, generation: 1 }))
      expect(moved(members, group.assign(members))).toBe(0)
      const joined = [...members, { name: 'newcomer' }]
      const share = Math.floor(group.tasks.length / joined.length)
      const orphans = first.get(gone)?.tasks.length ?? 0
      expect(moved(joined, group.assign(joined))).toBe(Math.max(0, share - orphans))
    }
  })
})

test('the shares of a large group are even too', () => {
  const sizes = Array.from({ length: 30 }, (_, row) => 37 + row)
  const random = seeded(1)
  const shares = sharesOf({ sizes, members: 60, gain: () => random(2) * 2_000 })
  const totals = Array.from({ length: 60 }, (_, m) =>
    shares.reduce((n, row) => n + (row[m] ?? 0), 0),
  )
  expect(spread(totals)).toBeLessThanOrEqual(1)
})

/** By trying every way to give out the rests. */
function fewestMoves({ counts }: PaperGroup, members: readonly PaperMember[]): number {
  const cells = counts.length * members.length
  const total = counts.reduce((sum, count) => sum + count, 0)
  let fewest = Infinity
  for (let bits = 0; bits < 2 ** cells; bits += 1) {
    const shares = counts.map((count, row) =>
      members.map((_, i) => {
        const rest = (bits >> (row * members.length + i)) & 1
        return Math.floor(count / members.length) + rest
      }),
    )
    if (shares.some((row, i) => row.reduce((a, b) => a + b, 0) !== counts[i])) continue
    const totals = members.map((_, i) => shares.reduce((sum, row) => sum + (row[i] ?? 0), 0))
    if (totals.some((n) => n < Math.floor(total / members.length))) continue
    if (spread(totals) > 1) continue
    let moves = 0
    for (const [i, { owns = [] }] of members.entries()) {
      for (const row of counts.keys()) {
        const owned = owns.filter((task) => task.startsWith(`${row}_`)).length
        moves += Math.max(0, owned - (shares[row]?.[i] ?? 0))
      }
    }
    fewest = Math.min(fewest, moves)
  }
  return fewest
}
