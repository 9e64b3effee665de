/**
 * How often each word came. State is kept in LevelDB and logged, so a killed app goes on counting
 * where it was committed.
 *
 *   millrace run examples/1-count-words.pipeline.ts --embedded data --create-topics
 */
import { text, topology } from 'millrace'

export default topology('count-words', ({ stream }) => {
  stream('lines', { key: text, value: text })
    .flatMap(
      ({ key, value }) => value.split(/\s+/).map((word) => [`${key}/${word}`, word] as const),
      {
        key: text,
        value: text,
      },
    )
    .through('words')
    .groupByKey()
    .count({ store: 'counts' })
    .toStream()
    .to('word-counts')
})
