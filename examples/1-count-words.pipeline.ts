/**
 * How often each word came. State is kept in LevelDB and logged, so a killed app goes on counting
 * where it was committed.
 *
 *   millrace topics examples/1-count-words.pipeline.ts --embedded data --create
 *   echo 'to be or not to be' | millrace send lines --embedded data
 *   millrace run examples/1-count-words.pipeline.ts --embedded data
 *   millrace tail word-counts --embedded data --value int64
 */
import { text, topology } from 'millrace'

export default topology('count-words', ({ stream }) => {
  stream('lines', { key: text, value: text })
    // A line may be a tombstone: a record without a value, which has no words.
    .filter(({ value }) => value !== null)
    .flatMapValues((value) => value.split(/\s+/).filter((word) => word !== ''), { value: text })
    .groupBy(({ value }) => value, { key: text })
    .count({ store: 'counts' })
    .toStream()
    .to('word-counts')
})
