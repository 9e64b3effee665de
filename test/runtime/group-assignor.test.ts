import { describe, expect, test } from 'vitest'
import { asTopic } from '../../model/position.ts'
import { groupAssignor } from '../../runtime/group-assignor.ts'
import { encodeJoinData } from '../../runtime/group-user-data.ts'
import { joinData, PaperGroup, type PaperMember, type PaperShare } from './group-cases.ts'

const names = (count: number): PaperMember[] =>
  Array.from({ length: count }, (_, i) => ({ name: `m${i}` }))

const tasksOf = (shares: Map<string, PaperShare>): Record<string, readonly string[]> =>
  Object.fromEntries([...shares].map(([name, { tasks }]) => [name, tasks]))

describe('the assignor of a group', () => {
  test.each([
    { counts: [4], members: 1, gives: { m0: ['0_0', '0_1', '0_2', '0_3'] } },
    { counts: [4], members: 2, gives: { m0: ['0_0', '0_2'], m1: ['0_1', '0_3'] } },
    { counts: [1], members: 2, gives: { m0: ['0_0'], m1: [] } },
    { counts: [2, 2], members: 2, gives: { m0: ['0_0', '1_0'], m1: ['0_1', '1_1'] } },
    {
      counts: [1, 1, 1, 1],
      members: 3,
      gives: { m0: ['0_0', '3_0'], m1: ['1_0'], m2: ['2_0'] },
    },
  ])('gives $counts partitions to $members newcomers evenly', ({ counts, members, gives }) => {
    expect(tasksOf(new PaperGroup(counts).assign(names(members)))).toEqual(gives)
  })

  test('keeps a task of several topics in one piece, also where the topics differ in length', () => {
    const assignor = groupAssignor({
      subtopologies: [
        { id: 0, sourceTopics: [asTopic('long'), asTopic('short')], logged: false },
        { id: 1, sourceTopics: [asTopic('other')], logged: false },
      ],
      fingerprint: 'same',
      standbys: 1,
    })
    const member = { topics: [], owned: [], generation: -1 }
    const assigned = assignor.assign({
      members: ['a', 'b'].map((name) => ({
        ...member,
        memberId: name,
        userData: encodeJoinData(joinData({ name })),
      })),
      partitionsOf: (topic) => ({ long: 2, short: 1, other: 1 })[topic as string] ?? 0,
    })
    const text = assigned.map(({ memberId, partitions }) => [
      memberId,
      ...partitions.map(({ topic, partition }) => `${topic}[${partition}]`),
    ])
    expect(text).toEqual([
      ['a', 'long[0]', 'short[0]', 'other[0]'],
      ['b', 'long[1]'],
    ])
  })

  test('lets owners keep their tasks when a member joins, and takes no more than the newcomer needs', () => {
    const owners = [
      { name: 'a', owns: ['0_0', '0_1', '0_2', '0_3'] },
      { name: 'b', owns: ['0_4', '0_5', '0_6', '0_7'] },
    ]
    expect(tasksOf(new PaperGroup([8]).assign([...owners, { name: 'c' }]))).toEqual({
      a: ['0_0', '0_1', '0_2'],
      b: ['0_4', '0_5', '0_6'],
      c: ['0_3', '0_7'],
    })
  })

  test('spreads the tasks of each sub-topology, also where only the totals were even', () => {
    const owners = [
      { name: 'a', owns: ['0_0', '0_1'] },
      { name: 'b', owns: ['1_0', '1_1'] },
    ]
    expect(tasksOf(new PaperGroup([2, 2]).assign(owners))).toEqual({
      a: ['0_0', '1_1'],
      b: ['0_1', '1_0'],
    })
  })

  test('gives an orphaned task to the member whose state is nearest', () => {
    const far = { name: 'a', owns: ['0_0'], data: { tasks: [{ id: '0_2', lag: 900_000 }] } }
    const near = { name: 'b', owns: ['0_1'], data: { tasks: [{ id: '0_2', lag: 20_000 }] } }
    const none = { name: 'c', owns: ['0_3'] }
    const shares = new PaperGroup([5]).assign([far, near, none])
    expect(shares.get('b')?.tasks).toEqual(['0_1', '0_2'])
  })

  test('gives it to a copy that follows, before one that was left over and that nobody has looked at', () => {
    const left = { id: '0_2', lag: 10, isGuess: true } as const
    const owners: PaperMember[] = [
      { name: 'a', owns: ['0_0'], data: { tasks: [left] } },
      { name: 'b', owns: ['0_1'], data: { tasks: [{ id: '0_2', lag: 900_000 }] } },
      { name: 'c', owns: ['0_3'] },
    ]
    expect(new PaperGroup([5]).assign(owners).get('b')?.tasks).toEqual(['0_1', '0_2'])
    const three: PaperMember[] = [
      { name: 'a', owns: ['0_0'], data: { tasks: [left] } },
      { name: 'b', owns: ['0_1'], data: { tasks: [{ id: '0_2', lag: 900_000 }] } },
      { name: 'c', owns: ['0_2'] },
    ]
    const copies = [...new PaperGroup([3], 1).assign(three)].filter(([, { told }]) =>
      told.standbys.includes('0_2'),
    )
    expect(copies.map(([name]) => name)).toEqual(['b'])
  })

  test.each([
    { a: undefined, b: 9_999, gets: 'b' },
    { a: 5_000, b: 3, gets: 'b' },
    { a: 3, b: 5_000, gets: 'a' },
    { a: undefined, b: 10_001, gets: 'a' },
  ])('lets state that lies within the acceptable lag decide who gets one more: $a, $b', (lags) => {
    const members = (['a', 'b'] as const).map((name, i) => {
      const lag = lags[name]
      const tasks = lag === undefined ? [] : [{ id: '0_2', lag }]
      return { name, owns: [`0_${i}`], data: { tasks } }
    })
    expect(new PaperGroup([3]).assign(members).get(lags.gets)?.tasks).toContain('0_2')
  })

  test('prefers to give up what another has ready', () => {
    const owner = { name: 'a', owns: ['0_0', '0_1'] }
    const ready = { name: 'b', data: { tasks: [{ id: '0_0', lag: 10 }] } }
    expect(tasksOf(new PaperGroup([2]).assign([owner, ready]))).toEqual({ a: ['0_1'], b: ['0_0'] })
  })

  test('puts copies on other processes, where there are some and where the state is', () => {
    const members = [
      { name: 'a', owns: ['0_0'] },
      { name: 'b', owns: ['0_1'] },
      { name: 'c', data: { tasks: [{ id: '0_1', lag: 50_000 }] } },
    ]
    const shares = new PaperGroup([2], 1).assign(members)
    expect([...shares].map(([name, { told }]) => [name, ...told.standbys])).toEqual([
      ['a'],
      ['b', '0_0'],
      ['c', '0_1'],
    ])
    expect(new PaperGroup([2], 5).assign(names(1)).get('m0')?.told.standbys).toEqual([])
  })

  test('never puts two copies on one process, and none where there is nothing to copy', () => {
    const twins = ['a', 'b'].map((name) => ({ name, data: { processId: 'one' } }))
    const shares = new PaperGroup([2], 1).assign(twins)
    expect([...shares.values()].flatMap(({ told }) => told.standbys)).toEqual([])
  })

  test('tells who is there, who has gone, and who runs what where', () => {
    const a = { name: 'a', data: { knownProcesses: ['process-a', 'process-z', 'process-b'] } }
    const b = { name: 'b', data: { clientAddress: 'b:4000' } }
    expect(new PaperGroup([2]).assign([a, b]).get('a')?.told).toEqual({
      processes: ['process-a', 'process-b'],
      departed: ['process-z'],
      standbys: [],
      owners: [
        { memberId: 'a', processId: 'process-a', tasks: ['0_0'] },
        { memberId: 'b', processId: 'process-b', address: 'b:4000', tasks: ['0_1'] },
      ],
      madeFor: {
        memberId: 'a',
        fingerprint: 'same',
        partitions: new Map([['t0', 2]]),
        copies: 0,
      },
    })
  })
})

describe('members with another topology', () => {
  const other = { fingerprint: 'other' }

  test.each([
    {
      because: 'the owners have theirs',
      members: [{ name: 'a', owns: ['0_0'] }, ...['b', 'c'].map((name) => ({ name, data: other }))],
      refused: ['b', 'c'],
    },
    {
      because: 'most newcomers have theirs',
      members: [{ name: 'a', data: other }, { name: 'b' }, { name: 'c' }],
      refused: ['a'],
    },
    {
      because: 'it is even, and the first process has its own',
      members: [{ name: 'b', data: other }, { name: 'a' }],
      refused: ['b'],
    },
    {
      because: 'the owners have theirs, and not those that own what they do not run',
      members: [
        { name: 'a', owns: ['0_0'], data: { ...other, isIdle: true } as const },
        { name: 'b', owns: ['0_1'] },
      ],
      refused: ['a'],
    },
    {
      because: 'those that had theirs have been silent for a generation',
      members: [
        { name: 'b', owns: ['0_0'], generation: 1, data: other },
        { name: 'c', owns: ['0_1'], generation: 2, data: { isIdle: true } as const },
      ],
      refused: ['b'],
    },
  ])('get nothing where $because', ({ members, refused }) => {
    const shares = new PaperGroup([2]).assign(members)
    const without = [...shares].filter(([, { told }]) => told.refused !== undefined)
    expect(without.map(([name]) => name)).toEqual(refused)
    for (const [, { tasks, told }] of without) {
      expect(tasks).toEqual([])
      expect(told.refused).toMatch(/another topology.*application id/)
    }
  })

  test('leave to each what it has where one of them assigns, and keep in mind who has gone', () => {
    const a = { name: 'a', owns: ['0_0', '0_1'], data: { knownProcesses: ['process-z'] } }
    const shares = new PaperGroup([5]).assign([a, { name: 'b', data: other }], 'other')
    expect(tasksOf(shares)).toEqual({ a: ['0_0', '0_1'], b: [] })
    expect(shares.get('b')?.told.refused).toBeDefined()
    expect(shares.get('a')?.told).toMatchObject({
      processes: ['process-a', 'process-b', 'process-z'],
      departed: [],
      madeFor: { memberId: 'a', fingerprint: 'same' },
    })
  })

  test('do not end the one that assigns, if they cannot even be read', () => {
    const stranger = { name: 's', userData: Buffer.from([9, 9]) }
    const shares = new PaperGroup([1]).assign([stranger, { name: 'a' }])
    expect(shares.get('a')?.tasks).toEqual(['0_0'])
    expect(shares.get('s')?.told.refused).toMatch(/version 9/)
  })
})
