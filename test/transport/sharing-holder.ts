/** A process that holds a shared log until its standard input ends, and says when it does. */
import { systemClock } from '../../runtime/system-clock.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'

const [folder = ''] = process.argv.slice(2)
await using _log = await openEmbeddedLog({ folder, clock: systemClock(), share: true })
process.stdout.write('holding\n')
for await (const _line of process.stdin);
