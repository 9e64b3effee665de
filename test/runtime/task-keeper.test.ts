import { expect, test } from 'vitest'
import { allTasks, type TaskId } from '../../runtime/assignment.ts'
import { TaskKeeper } from '../../runtime/task-keeper.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'

const copying = topology('app', ({ stream }) => {
  stream('in', { key: text, value: text }).to('out')
})

test('a revocation does not wait for a copy that takes long to close', async () => {
  const share: { active: readonly TaskId[]; readonly standby: readonly TaskId[] } = {
    active: allTasks(copying.subtopologies, () => 1),
    standby: [],
  }
  const closing = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<void>()
  const settled: number[] = []
  const keeper = new TaskKeeper({
    share,
    loop: { release: async () => {}, add: async () => true },
    standbys: {
      want: () => {},
      giveUp: async () => {
        asked.resolve()
        await closing.promise
      },
    },
    open: async () => {
      throw new Error('its copy is still open')
    },
    start: async () => [],
    onSettled: (tasks) => void settled.push(tasks.length),
  })
  const stop = new AbortController()
  const running = keeper.run(stop.signal)
  await asked.promise
  share.active = []
  await keeper.trimmed()
  expect(settled).toEqual([0])
  closing.resolve()
  stop.abort(new Error('over'))
  await running
})
