/**
 * A process whose event loop is watched, for the tests of that: it says `beat` whenever its loop has a
 * turn. `block FILE` on its standard input keeps the loop busy until there is such a file; the end of
 * its input is the end of the watch, after which nothing keeps it alive.
 */
import { existsSync } from 'node:fs'
import { argv } from 'node:process'
import { createInterface } from 'node:readline'
import { systemClock } from '../../runtime/system-clock.ts'
import { watchLoop } from '../../runtime/loop-watch.ts'

const BEAT_MS = 20

const [afterMs, graceMs] = argv.slice(2).map(Number)
const clock = systemClock()
const watch = watchLoop(
  { afterMs: afterMs ?? 0, onFailed: (error) => console.error(error) },
  { line: 'it stands still\n', clock, ...(graceMs === undefined ? {} : { graceMs }) },
)
let next = clock.timer(0, beat)
createInterface(process.stdin)
  .on('line', (line) => {
    const [, file = ''] = line.split(' ')
    console.log('blocked')
    while (!existsSync(file));
    console.log('unblocked')
  })
  .on('close', () => {
    next.cancel()
    watch[Symbol.dispose]()
  })

function beat(): void {
  console.log('beat')
  next = clock.timer(BEAT_MS, beat)
}
