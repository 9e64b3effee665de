/**
 * millrace as one process that a driver starts and measures, in any language: the same options and the
 * same lines on standard output as the application of Kafka Streams that it is compared with.
 *
 *   streams-app --bootstrap HOST:PORT --app-id ID --state DIR
 *     --topology pass|count|wcount|st|ssj|ss --guarantee eos|alos --threads N
 *     --in1 TOPIC [--in2 TOPIC] --out TOPIC [--joined full|ref|copies] [--set property=value]…
 *
 * Prints `EV name epochMillis [text]`: main, state (RUNNING, …), first_input, tasks, restore_start and
 * restore_end. One process has one record loop: more threads there are more processes here.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fileRegistry, openKafka, streams, systemClock, type StreamsEvent } from 'millrace'
import { topologyOf, type TopologyWish } from './topologies.ts'

const clock = systemClock()
say('main')
const { values: given } = parseArgs({
  options: {
    bootstrap: { type: 'string' },
    'app-id': { type: 'string' },
    state: { type: 'string' },
    topology: { type: 'string' },
    guarantee: { type: 'string', default: 'alos' },
    threads: { type: 'string', default: '1' },
    in1: { type: 'string' },
    in2: { type: 'string' },
    out: { type: 'string' },
    joined: { type: 'string', default: 'full' },
    set: { type: 'string', multiple: true, default: [] },
  },
})
const properties = new Map(given.set.map(property))
const restored = new Map<string, number>()
await run()

async function run(): Promise<void> {
  const application = needed('app-id', given['app-id'])
  const lingerMs = numberOf('producer.linger.ms')
  const commitIntervalMs = numberOf('commit.interval.ms')
  const instanceId = properties.get('consumer.group.instance.id')
  const folder = needed('state', given.state)
  await using log = await openKafka({
    brokers: needed('bootstrap', given.bootstrap),
    clock,
    ...(lingerMs === undefined ? {} : { producer: { lingerMs } }),
  })
  await using app = streams(topologyOf(needed('topology', given.topology), wish(application)), {
    application,
    transport: log,
    registry: fileRegistry(join(folder, 'schemas')),
    clock,
    state: { kind: 'folder', folder: join(folder, 'stores') },
    guarantee: given.guarantee === 'eos' ? 'exactly-once' : 'at-least-once',
    assignment: { kind: 'group', ...(instanceId === undefined ? {} : { instanceId }) },
    ...(commitIntervalMs === undefined ? {} : { limits: { commitIntervalMs } }),
    onEvent: tell,
  })
  process.once('SIGTERM', () => void app.close())
  await app.start()
  await app.closed
}

function wish(name: string): TopologyWish {
  const { joined } = given
  if (joined !== 'full' && joined !== 'ref' && joined !== 'copies') {
    throw new TypeError('--joined is full, ref or copies')
  }
  let seen = false
  return {
    name,
    joined,
    in1: needed('in1', given.in1),
    in2: given.in2,
    out: needed('out', given.out),
    onFirstInput() {
      if (seen) return
      seen = true
      say('first_input')
    },
  }
}

function tell(event: StreamsEvent): void {
  if (event.kind === 'state') say('state', event.to.toUpperCase())
  else if (event.kind === 'unit-started') say('tasks', event.tasks.join())
  else if (event.kind === 'restoring') tellRestoring(event)
  else if (event.kind === 'notice') console.log(event.message)
  else if ('error' in event) console.log(event.kind, event.error)
}

function tellRestoring(event: Extract<StreamsEvent, { kind: 'restoring' }>): void {
  const { store, remaining } = event
  if (!restored.has(store)) say('restore_start', `${store} ${event.restored + remaining}`)
  restored.set(store, event.restored)
  if (remaining === 0) say('restore_end', `${store} ${event.restored}`)
}

function say(name: string, text = ''): void {
  process.stdout.write(`EV ${name} ${clock.now()} ${text}\n`)
}

function property(assignment: string): readonly [string, string] {
  const at = assignment.indexOf('=')
  if (at < 0) throw new TypeError(`--set takes property=value, not ${assignment}`)
  return [assignment.slice(0, at), assignment.slice(at + 1)]
}

/** A property of Kafka's as a number; those that mean nothing here are left out. */
function numberOf(name: string): number | undefined {
  const value = properties.get(name)
  return value === undefined ? undefined : Number(value)
}

function needed(option: string, value: string | undefined): string {
  if (value === undefined) throw new TypeError(`--${option} is needed`)
  return value
}
