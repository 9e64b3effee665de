/** Apps over the embedded log and LevelDB in real folders. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { Bench } from './fixtures.ts'

const counting = (name = 'app', store = 'counts') =>
  topology(name, ({ stream }) => {
    stream('in', { key: text, value: text })
      .groupByKey()
      .count({ store })
      .toStream()
      .mapValues(String, { value: text })
      .to('out')
  })

const folder = (path: string) => ({ state: { kind: 'folder', folder: path } }) as const

describe('a state folder', () => {
  test('that another process of the same unit holds is refused, and named', async () => {
    await using bench = await Bench.open()
    await bench.createTopics(['in', 'out'])
    await using first = bench.app(counting())
    await first.start()
    const second = bench.app(counting())
    await expect(second.start()).rejects.toMatchObject({ code: 'MILLRACE_STATE_IN_USE' })
    expect(second.state).toBe('failed')
    expect(first.state).toBe('running')
  })

  test('of its own for a second process of the unit lets it take over; the first ends as fenced', async () => {
    await using bench = await Bench.open()
    await bench.createTopics(['in', 'out'])
    const first = bench.app(counting())
    await first.start()
    await bench.produce('in', [{ key: 'a', value: '1' }])
    await first.caughtUp()
    await using second = bench.app(counting(), folder(join(bench.folder, 'other')))
    await second.start()
    await bench.produce('in', [{ key: 'a', value: '2' }])
    await expect(first.closed).rejects.toMatchObject({ code: 'MILLRACE_PRODUCER_FENCED' })
    await second.caughtUp()
    expect(await bench.texts('out')).toEqual(['a=1', 'a=2'])
  })

  test('of another topology is refused', async () => {
    await using bench = await Bench.open()
    await bench.createTopics(['in', 'out'])
    const first = bench.app(counting('app', 'counts'))
    await first.start()
    await first.close()
    const second = bench.app(counting('app', 'other'))
    await expect(second.start()).rejects.toMatchObject({ code: 'MILLRACE_STATE_FOREIGN' })
  })

  test('whose parent is a file is refused, with the path', async () => {
    await using bench = await Bench.open()
    await bench.createTopics(['in', 'out'])
    const file = join(bench.folder, 'file')
    await writeFile(file, 'no folder')
    const app = bench.app(counting(), folder(join(file, 'state')))
    await expect(app.start()).rejects.toMatchObject({ code: 'MILLRACE_STATE_UNWRITABLE' })
    await expect(app.closed).rejects.toThrow(file)
  })

  test('that is deleted is filled again from the changelog', async () => {
    await using bench = await Bench.open()
    await bench.createTopics(['in', 'out'], 2)
    const names = Array.from({ length: 20 }, (_, i) => ({ key: `k${i % 4}`, value: '1' }))
    await bench.produce('in', names, 2)
    const first = bench.app(counting())
    await first.start()
    await first.caughtUp()
    await first.close()
    await bench.produce('in', names.slice(0, 4), 2)
    await using second = bench.app(counting(), folder(join(bench.folder, 'empty')))
    await second.start()
    await second.caughtUp()
    const last = new Map(
      (await bench.texts('out')).map((line) => line.split('=') as [string, string]),
    )
    expect(Object.fromEntries(last)).toEqual({ k0: '6', k1: '6', k2: '6', k3: '6' })
  })
})

describe('two apps of one application over one embedded log', () => {
  test('run side by side, a partition each, with the outputs of one', async () => {
    await using bench = await Bench.open()
    await bench.createTopics(['in', 'out'], 2)
    const records = Array.from({ length: 200 }, (_, i) => ({ key: `k${i % 10}`, value: '1' }))
    await bench.produce('in', records.slice(0, 100), 2)
    const apps = [0, 1].map((unit) =>
      bench.app(counting(), { assignment: { kind: 'static', units: [unit] } }),
    )
    await Promise.all(apps.map(async (app) => await app.start()))
    await bench.produce('in', records.slice(100), 2)
    await Promise.all(apps.map(async (app) => await app.caughtUp()))
    await Promise.all(apps.map(async (app) => await app.close()))
    const lines = await bench.texts('out')
    expect(lines).toHaveLength(200)
    for (let k = 0; k < 10; k += 1) {
      const counts = lines.filter((line) => line.startsWith(`k${k}=`))
      expect(counts).toEqual(Array.from({ length: 20 }, (_, i) => `k${k}=${i + 1}`))
    }
  })
})
