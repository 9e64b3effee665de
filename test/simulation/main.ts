/** `npm run simulate -- --seeds N [--from S] [--guarantee at-least-once]`: any number of seeds; the first that fails is printed with its trace. */
import { parseArgs } from 'node:util'
import { runSeed } from './world.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    guarantee: { type: 'string', default: 'exactly-once' },
  },
})
const from = Number(values.from)
const count = Number(values.seeds)
const guarantee = values.guarantee === 'at-least-once' ? 'at-least-once' : 'exactly-once'

for (let seed = from; seed < from + count; seed += 1) {
  const { problems, trace } = await runSeed(seed, { guarantee })
  if (problems.length > 0) {
    console.log([`seed ${seed} fails under ${guarantee}`, ...trace, ...problems].join('\n'))
    process.exit(1)
  }
  if ((seed - from + 1) % 500 === 0) console.log(`${seed - from + 1} of ${count} seeds`)
}
console.log(`${count} seeds from ${from} under ${guarantee}: nothing found`)
