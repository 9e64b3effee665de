import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'

/** How often each key came into topic in, as text into topic out. */
export const counting = topology('app', ({ stream }) => {
  stream('in', { key: text, value: text })
    .groupByKey()
    .count({ store: 'counts' })
    .toStream()
    .mapValues(String)
    .to('out', { value: text, partitionBy: (key) => key })
})
