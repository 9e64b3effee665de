import { describe, expect, test } from 'vitest'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { Bench } from './fixtures.ts'

const wordCount = () =>
  topology('words', ({ stream }) => {
    stream('in', { key: text, value: text })
      .groupByKey()
      .count({ store: 'counts' })
      .toStream()
      .mapValues(String)
      .to('out', { value: text })
  })

describe('an app', () => {
  test('counts, and goes on where it stopped', async () => {
    await using bench = await Bench.open()
    await bench.createTopics(['in', 'out'])
    await bench.produce('in', [
      { key: 'a', value: '1' },
      { key: 'b', value: '1' },
      { key: 'a', value: '2' },
    ])
    const first = bench.app(wordCount())
    await first.start()
    await first.caughtUp()
    expect(await bench.texts('out')).toEqual(['a=1', 'b=1', 'a=2'])
    await first.close()
    expect(first.state).toBe('stopped')

    await bench.produce('in', [{ key: 'a', value: '3' }])
    await using second = bench.app(wordCount())
    await second.start()
    await second.caughtUp()
    expect(await bench.texts('out')).toEqual(['a=1', 'b=1', 'a=2', 'a=3'])
  })
})
