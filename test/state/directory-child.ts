/** Holds a unit's folder until it is killed. */
import { systemClock } from '../../runtime/system-clock.ts'
import { openStateDirectory } from '../../state/directory.ts'

const clock = systemClock()
const home = await openStateDirectory({
  stateDir: process.argv[2] ?? '',
  applicationId: 'app',
  unit: '0-of-1',
  fingerprint: 'f1',
  clock,
  bootId: 'boot 1',
})
const { database } = await home.openTask('0_0')
await database.write([{ key: Buffer.from('key'), value: Buffer.from('value') }])
console.log('open')
clock.timer(60_000, () => process.exit(1))
