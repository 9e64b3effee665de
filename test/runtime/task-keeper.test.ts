import { describe, expect, test } from 'vitest'
import { allTasks, describeTask, type TaskId } from '../../runtime/assignment.ts'
import { TaskKeeper } from '../../runtime/task-keeper.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'

const copying = topology('app', ({ stream }) => {
  stream('in', { key: text, value: text }).to('out')
})

const [FIRST, SECOND] = allTasks(copying.subtopologies, () => 2) as [TaskId, TaskId]

/** A keeper whose starts stand in their first step until they are called off: their copies do not close. */
class Bench implements AsyncDisposable {
  readonly share: { active: readonly TaskId[]; readonly standby: readonly TaskId[] }
  readonly keeper: TaskKeeper
  /** The tasks of each start. */
  readonly starts: (readonly string[])[] = []
  /** Of each time when what ran was what the share says, how many tasks. */
  readonly settled: number[] = []
  /** By task how far its copy is behind. */
  readonly lags = new Map<string, number>()
  readonly #stop = new AbortController()
  readonly #running: Promise<void>

  constructor(active: readonly TaskId[], lags: readonly (readonly [TaskId, number])[] = []) {
    this.share = { active, standby: [] }
    for (const [taskId, lag] of lags) this.lags.set(describeTask(taskId), lag)
    this.keeper = new TaskKeeper({
      share: this.share,
      loop: { release: async () => {}, add: async () => true },
      standbys: {
        want: () => {},
        giveUp: async (tasks) => {
          this.starts.push(tasks.map(describeTask))
          await new Promise(() => {})
        },
        lagOf: (task) => this.lags.get(task),
      },
      open: async () => {
        throw new Error('its copy is still open')
      },
      start: async () => [],
      onSettled: (tasks) => void this.settled.push(tasks.length),
    })
    this.#running = this.keeper.run(this.#stop.signal)
  }

  assign(active: readonly TaskId[]): void {
    this.share.active = active
    this.keeper.changed()
  }

  async revoke(active: readonly TaskId[]): Promise<void> {
    this.share.active = active
    await this.keeper.trimmed()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('over'))
    await this.#running
  }
}

/** Lets every promise settle that waits for nothing from outside. */
async function turn(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve))
}

describe('a revocation', () => {
  test('does not wait for a copy that takes long to close', async () => {
    await using bench = new Bench([FIRST])
    await turn()
    await bench.revoke([])
    expect(bench.settled).toEqual([0])
  })

  test('of a task that has not begun does not wait for the start of another, and leaves it alone', async () => {
    await using bench = new Bench([FIRST])
    await turn()
    bench.assign([FIRST, SECOND])
    await turn()
    await bench.revoke([FIRST])
    await turn()
    expect(bench.starts).toEqual([['0_0']])
    expect(bench.settled).toEqual([])
  })
})

describe('a task with a copy here', () => {
  test('starts before those that have to be restored', async () => {
    await using bench = new Bench([FIRST, SECOND], [[SECOND, 100]])
    await turn()
    expect(bench.starts).toEqual([['0_1']])
  })

  test('does not wait for a restore that is under way', async () => {
    await using bench = new Bench([FIRST], [[SECOND, 100]])
    await turn()
    bench.assign([FIRST, SECOND])
    await turn()
    expect(bench.starts).toEqual([['0_0'], ['0_1']])
  })

  test.each([
    ['where that copy is far behind', [[SECOND, 1_000_000]]],
    [
      'where the other start is of a copy as well',
      [
        [FIRST, 100],
        [SECOND, 100],
      ],
    ],
  ] as const)('waits for a start that is under way %s', async (_, lags) => {
    await using bench = new Bench([FIRST], lags)
    await turn()
    bench.assign([FIRST, SECOND])
    await turn()
    expect(bench.starts).toEqual([['0_0']])
  })
})
