import { describe, expect, test } from 'vitest'
import { asPartition, asTopic, type TopicPartition } from '../../model/position.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import {
  changeOf,
  cooperativeShares,
  resolveClaims,
  type Subscriber,
} from '../../transport/cooperative.ts'
import {
  decodeShare,
  decodeSubscription,
  encodeShare,
  encodeSubscription,
} from '../../transport/group-bytes.ts'

const TOPIC = asTopic('t')
const NOTHING = Buffer.alloc(0)
const at = (partition: number): TopicPartition => ({
  topic: TOPIC,
  partition: asPartition(partition),
})
const numbers = (partitions: readonly TopicPartition[]): number[] =>
  partitions.map(({ partition }) => partition)

function subscriber(memberId: string, generation: number, ...owned: number[]): Subscriber {
  return { memberId, topics: [TOPIC], userData: NOTHING, owned: owned.map(at), generation }
}

const given = (memberId: string, ...partitions: number[]) => ({
  memberId,
  partitions: partitions.map(at),
  userData: Buffer.from(memberId),
})

describe('claims', () => {
  test('of a later generation count, whoever comes first', () => {
    const [old, young] = [subscriber('old', 3, 0, 1), subscriber('young', 4, 1, 2)]
    for (const order of [
      [old, young],
      [young, old],
    ]) {
      const byId = new Map(resolveClaims(order).map((each) => [each.memberId, each.owned]))
      expect(numbers(byId.get('old') ?? [])).toEqual([0])
      expect(numbers(byId.get('young') ?? [])).toEqual([1, 2])
    }
  })
})

describe('shares', () => {
  test('hold back what another owns, who is told to join again', () => {
    const members = resolveClaims([subscriber('a', 1, 0, 1), subscriber('b', -1)])
    const shares = cooperativeShares(members, [given('a', 0), given('b', 1, 2)])
    const told = [...shares].map(([id, share]) => [
      id,
      numbers(share.partitions),
      share.mustJoinAgain,
    ])
    expect(told).toEqual([
      ['a', [0], true],
      ['b', [2], false],
    ])
    expect(shares.get('b')?.userData.toString()).toBe('b')
  })

  test('of a member that the assignor left out are empty, and nobody waits for what nobody wants', () => {
    const members = resolveClaims([subscriber('a', 1, 0), subscriber('b', -1)])
    const shares = cooperativeShares(members, [given('b', 1)])
    expect(shares.get('a')).toEqual({ partitions: [], userData: NOTHING, mustJoinAgain: false })
  })

  test.each([
    ['a partition twice', [given('a', 0), given('b', 0)]],
    ['a stranger something', [given('c', 0)]],
    ['a member two shares', [given('a', 0), given('a', 1)]],
  ])('are refused where the assignor gives %s', (_, assignments) => {
    const members = resolveClaims([subscriber('a', 1), subscriber('b', 1)])
    expect(() => cooperativeShares(members, assignments)).toThrow(TypeError)
  })

  test('never give to one what another keeps, and two rounds give all that was wanted', () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const random = new SeededRandom(seed)
      const ids = ['a', 'b', 'c', 'd'].slice(0, 1 + random.below(4))
      const all = Array.from({ length: random.below(9) }, (_, number) => number)
      const pick = (): Map<string, number[]> =>
        Map.groupBy(
          all.filter(() => random.chance(0.8)),
          () => random.pick(ids),
        )
      const [owned, wanted] = [pick(), pick()]
      const assignments = ids.map((id) => given(id, ...(wanted.get(id) ?? [])))
      const members = (of: ReadonlyMap<string, number[]>) =>
        resolveClaims(ids.map((id) => subscriber(id, 1, ...(of.get(id) ?? []))))
      const first = cooperativeShares(members(owned), assignments)
      const after = new Map<string, number[]>()
      for (const id of ids) {
        const share = first.get(id)?.partitions ?? []
        const { added, kept, revoked } = changeOf((owned.get(id) ?? []).map(at), share)
        for (const other of ids.filter((one) => one !== id)) {
          const theirs = owned.get(other) ?? []
          expect(
            numbers(added).filter((one) => theirs.includes(one)),
            `seed ${seed}`,
          ).toEqual([])
        }
        const isWanted = revoked.some(({ partition }) =>
          [...wanted].some(([other, those]) => other !== id && those.includes(partition)),
        )
        expect(first.get(id)?.mustJoinAgain, `seed ${seed}`).toBe(isWanted)
        after.set(id, numbers([...kept, ...added]))
      }
      const second = cooperativeShares(members(after), assignments)
      for (const id of ids) {
        expect(numbers(second.get(id)?.partitions ?? []), `seed ${seed}`).toEqual(
          wanted.get(id) ?? [],
        )
        expect(second.get(id)?.mustJoinAgain).toBe(false)
      }
    }
  })
})

describe('the bytes of a group', () => {
  const other = asTopic('other')
  const subscription = {
    topics: [TOPIC, other],
    userData: Buffer.from('data'),
    owned: [at(3), at(1), { topic: other, partition: asPartition(0) }],
    generation: 7,
  }
  const share = { partitions: [at(2), at(0)], userData: Buffer.from('more'), mustJoinAgain: true }

  test('say what was said', () => {
    expect(decodeSubscription(encodeSubscription(subscription))).toEqual(subscription)
    expect(decodeShare(encodeShare(share))).toEqual(share)
    const empty = { partitions: [], userData: NOTHING, mustJoinAgain: false }
    expect(decodeShare(encodeShare(empty))).toEqual(empty)
    expect(decodeShare(NOTHING)).toEqual(empty)
  })

  test('are those of Kafka', () => {
    const hex = encodeSubscription({ ...subscription, topics: [TOPIC], owned: [at(3)] })
    expect(hex.toString('hex')).toBe(
      // version, [topic], user data, [[topic, [partition]]], generation
      '0002' +
        '00000001000174' +
        '0000000464617461' +
        '000000010001740000000100000003' +
        '00000007',
    )
    expect(encodeShare({ ...share, partitions: [at(2)] }).toString('hex')).toBe(
      '0002' + '000000010001740000000100000002' + '00000005016d6f7265',
    )
  })

  test('are refused where they end early', () => {
    for (const bytes of [encodeSubscription(subscription), encodeShare(share)]) {
      const decode = bytes.equals(encodeShare(share)) ? decodeShare : decodeSubscription
      for (let length = 1; length < bytes.length; length += 1) {
        expect(() => decode(bytes.subarray(0, length)), `${length}`).toThrow()
      }
    }
  })
})
