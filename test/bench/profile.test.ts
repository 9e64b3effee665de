import { expect, test } from 'vitest'
import { profileText, selfTimes } from './profile.ts'

const node = (id: number, functionName: string, url = '') => ({
  id,
  callFrame: { functionName, url },
})

test('a profile is told by the own time of each function, the idle time left out', () => {
  const times = selfTimes({
    nodes: [
      node(1, '(idle)'),
      node(2, '(garbage collector)'),
      node(3, 'read', 'file:///x/reader.ts'),
      node(4, '', 'file:///x/loop.ts'),
      // The same function, called from elsewhere.
      node(5, 'read', 'file:///x/reader.ts'),
    ],
    samples: [1, 2, 3, 4, 5],
    timeDeltas: [5_000_000, 1_000_000, 500_000, 1_000_000, 1_500_000],
  })
  expect(times).toEqual({
    busySeconds: 4,
    functions: [
      { name: 'read (reader.ts)', part: 0.5 },
      { name: '(garbage collector)', part: 0.25 },
      { name: 'anonymous (loop.ts)', part: 0.25 },
    ],
  })
  expect(profileText('by reference', times)).toBe(
    'by reference: main thread busy 4.0 s\n  50.0 %  read (reader.ts)\n  25.0 %  (garbage collector)\n  25.0 %  anonymous (loop.ts)',
  )
})
