import { describe, expect, test } from 'vitest'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { TransportError } from '../../transport/errors.ts'
import { GOODBYES_MS } from '../../transport/group-patience.ts'
import { HandService } from '../processors/hand-services.ts'
import { MemoryBench, type Life } from './memory-bench.ts'
import { gated } from './wrapped-transport.ts'

const passing = () =>
  topology('app', ({ stream }) => {
    stream('in', { key: text, value: text }).to('out')
  })

const states = ({ events }: Life): readonly string[] =>
  events.flatMap((event) => (event.kind === 'state' ? [event.to] : []))

const counting = () =>
  topology('app', ({ stream }) => {
    stream('in', { key: text, value: text })
      .groupByKey()
      .count({ store: 'counts' })
      .toStream()
      .mapValues(String)
      .to('out', { value: text })
  })

/** A gate that stays shut until it is opened. */
function gate() {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { pass: async () => await promise, open: resolve }
}

describe('an app', () => {
  test('goes from created over starting and running to stopped', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const life = bench.life(passing())
    expect(life.app.state).toBe('created')
    await bench.settle(life.app.start())
    expect(life.app.state).toBe('running')
    await life.close()
    expect(states(life)).toEqual(['starting', 'running', 'stopping', 'stopped'])
    await bench.settle(life.app.closed)
  })

  test('that was never started stops at once', async () => {
    const bench = await MemoryBench.with([])
    const life = bench.life(passing())
    await life.close()
    expect(life.app.state).toBe('stopped')
    await expect(life.app.start()).rejects.toThrow('does not go from stopped to starting')
  })

  test('is not started twice', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const life = await bench.start(passing())
    await expect(life.app.start()).rejects.toThrow('does not go from running to starting')
    expect(life.app.state).toBe('running')
    await life.close()
  })

  test('may be closed twice, and at the same time', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const life = await bench.start(passing())
    await bench.settle(Promise.all([life.app.close(), life.app.close()]))
    await life.close()
    expect(states(life).filter((state) => state === 'stopped')).toHaveLength(1)
  })

  test('commits what is done when it is closed, before the interval is over', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const life = await bench.start(passing(), { limits: { commitIntervalMs: 60_000 } })
    await bench.produce('in', [{ key: 'a', value: '1' }])
    await bench.pass(100)
    expect(bench.texts('out')).toEqual([])
    await life.close()
    expect(bench.texts('out')).toEqual(['a=1'])
    expect(await bench.committed('app', 'in')).toBe(1)
  })

  test('stops when its signal aborts, and leaves no listener on it', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const controller = new AbortController()
    const life = await bench.start(passing(), { signal: controller.signal })
    controller.abort()
    await bench.settle(life.app.closed)
    expect(life.app.state).toBe('stopped')
  })
})

describe('a close during the start', () => {
  test('while topics are looked up ends the start without an error', async () => {
    const slow = { decide: () => ({ requestDelayMs: 50 }) }
    const bench = new MemoryBench(slow)
    await bench.createTopics(['in', 'out'])
    const life = bench.life(passing())
    const started = life.app.start()
    await bench.pass(20)
    const closed = life.app.close()
    await bench.settle(Promise.all([started, closed]))
    expect(life.app.state).toBe('stopped')
  })

  test('while the log refuses every question does not wait for the next try', async () => {
    const bench = new MemoryBench({
      decide: ({ connection }) => (connection === 'life-1' ? { outcome: 'refused' } : undefined),
    })
    await bench.createTopics(['in', 'out'])
    const life = bench.life(passing(), { limits: { restartBackoffMs: 1_000_000 } })
    const started = life.app.start()
    await bench.pass(20)
    await bench.settle(Promise.all([started, life.app.close()]))
    expect(life.app.state).toBe('stopped')
  })

  test.each(['static', 'group'] as const)(
    'ends it at once, whichever question the log has left without an answer (%s)',
    async (kind) => {
      const asked = new Set<string>()
      for (let answers = 0; ; answers += 1) {
        const { life, bench, hanging } = await startOverMuteLog(answers, kind)
        if (life.app.state === 'running') break
        asked.add(hanging() ?? 'nothing')
        const closed = life.app.close()
        const over = Promise.all([life.started, closed]).then(() => true)
        await bench.pass(AT_ONCE_MS[kind])
        expect(life.app.state, `${answers} answers, then ${hanging()}`).toBe('stopped')
        expect(await over).toBe(true)
        expect(life.events.some((event) => event.kind === 'notice')).toBe(false)
        // What is answered late changes nothing any more, and the next start finds all in order.
        await bench.pass(MUTE_MS)
        expect(life.app.state).toBe('stopped')
        const next = await bench.start(counting(), { assignment: { kind } })
        await next.caughtUp()
        expect(bench.texts('out')).toEqual(['a=1'])
        await next.close()
      }
      expect([...asked]).toEqual(expect.arrayContaining(QUESTIONS[kind]))
    },
    TIMEOUT_MS,
  )
})

/** Until what has nothing to wait for is over: a member of a group says goodbye first, for so long. */
const AT_ONCE_MS = { static: 5, group: GOODBYES_MS + 5 }
/** Of a test that starts an app over for each of the questions of a start. */
const TIMEOUT_MS = 20_000
/** How long a question of a mute log waits for its answer. */
const MUTE_MS = 5 * 60_000
/** How a start commits where it begins. */
const COMMIT = ['sendOffsets', 'commit']
/** Some of what a start asks for: each of them is left without an answer once. */
const QUESTIONS = {
  static: ['describeTopics', 'describeGroup', 'init', 'committedOffsets', 'offsets', ...COMMIT],
  group: ['joinGroup', 'syncGroup', 'init', 'committedOffsets', 'offsets', ...COMMIT],
}

/** An app that counts, started over a log that answers it so many times and then no more. */
async function startOverMuteLog(answers: number, kind: 'static' | 'group') {
  let questions = 0
  let hanging: string | undefined
  const bench = new MemoryBench({
    decide: ({ connection, kind: what }) => {
      // The goodbye of a producer: an adapter bounds it by itself.
      if (connection !== 'life-1' || what === 'abort') return undefined
      questions += 1
      if (questions <= answers) return undefined
      hanging ??= what
      return { requestDelayMs: MUTE_MS }
    },
  })
  await bench.createTopics(['in', 'out'])
  await bench.produce('in', [{ key: 'a', value: '1' }])
  const app = bench.life(counting(), { assignment: { kind } })
  const started = app.app.start()
  await bench.pass(500)
  return { life: Object.assign(app, { started }), bench, hanging: () => hanging }
}

describe('a close whose last commit hangs', () => {
  test('gives up at the deadline; the next start does it again', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    let isShut = false
    const shut = gate()
    const life = await bench.start(passing(), {
      limits: { closeDeadlineMs: 500, commitIntervalMs: 60_000 },
      wrap: (transport) =>
        gated(transport, { beforeCommit: async () => (isShut ? await shut.pass() : undefined) }),
    })
    await bench.produce('in', [{ key: 'a', value: '1' }])
    await bench.pass(100)
    isShut = true
    life.app.close().catch(() => {})
    await bench.pass(600)
    await expect(life.app.closed).rejects.toMatchObject({ code: 'MILLRACE_CLOSE_DEADLINE' })
    const next = await bench.start(passing())
    await next.caughtUp()
    expect(bench.texts('out')).toEqual(['a=1'])
    await next.close()
  })

  test('and fails in passing is clean all the same, and says so', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    let fails = false
    const life = await bench.start(passing(), {
      limits: { commitIntervalMs: 60_000 },
      wrap: (transport) =>
        gated(transport, {
          beforeCommit: async () => {
            if (fails) throw new TransportError('MILLRACE_X', 'abortable', { message: 'no' })
          },
        }),
    })
    await bench.produce('in', [{ key: 'a', value: '1' }])
    await bench.pass(100)
    fails = true
    await life.close()
    expect(life.app.state).toBe('stopped')
    expect(life.events.some(({ kind }) => kind === 'notice')).toBe(true)
    expect(bench.texts('out')).toEqual([])
  })
})

describe('caughtUp', () => {
  test('resolves only after the commit of everything that was there', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    await bench.produce('in', [{ key: 'a', value: '1' }])
    const life = await bench.start(passing(), { limits: { commitIntervalMs: 5_000 } })
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['a=1'])
    await life.close()
  })

  test('waits for what waits in an enrich step', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const service = new HandService()
    const life = await bench.start(
      topology('app', ({ stream }) => {
        stream('in', { key: text, value: text }).enrich('ask', service.enricher).to('out')
      }),
    )
    await bench.produce('in', [{ key: 'a', value: 'v' }])
    let isCaughtUp = false
    const caughtUp = life.app.caughtUp().then(() => (isCaughtUp = true))
    await bench.pass(5_000)
    expect(isCaughtUp).toBe(false)
    service.answerAll()
    await bench.settle(caughtUp)
    expect(bench.texts('out')).toEqual(['a=V'])
    await life.close()
  })

  test('waits for the commit of a record that was only left out', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const life = await bench.start(
      topology('app', ({ stream }) => {
        stream('in', { key: text, value: text, timestamp: () => NaN }).to('out')
      }),
      { failures: { deserialization: 'dead-letter' }, deadLetterTopic: 'dead' },
    )
    await bench.produce('in', [{ key: 'a', value: '1' }])
    await life.caughtUp()
    expect(await bench.committed('app', 'in')).toBe(1)
    expect(bench.texts('dead')).toEqual(['a=1'])
    await life.close()
  })

  test('waits for both sub-topologies of a through topic', async () => {
    const bench = await MemoryBench.with(['in', 'middle', 'out'])
    await bench.produce('in', [{ key: 'a', value: '1' }])
    const life = await bench.start(
      topology('app', ({ stream }) => {
        stream('in', { key: text, value: text }).through('middle').to('out')
      }),
    )
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['a=1'])
    await life.close()
  })

  test('rejects with the reason of its signal', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const life = bench.life(passing())
    const controller = new AbortController()
    const waiting = life.app.caughtUp(controller.signal)
    controller.abort(new Error('enough'))
    await expect(bench.settle(waiting)).rejects.toThrow('enough')
    await life.close()
  })

  test('rejects where the app is closed before, and where it fails', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const closed = await bench.start(passing())
    await closed.close()
    await expect(bench.settle(closed.app.caughtUp())).rejects.toMatchObject({
      code: 'MILLRACE_STOPPED',
    })
    await bench.produce('in', [{ key: 'a', value: '1', timestamp: -1 }])
    const failed = await bench.start(passing())
    await expect(bench.settle(failed.app.caughtUp())).rejects.toMatchObject({
      code: 'MILLRACE_RECORD_UNREADABLE',
    })
  })
})

describe('an app over a log with passing troubles', () => {
  test('starts when the log answers again', async () => {
    let refusals = 5
    const bench = new MemoryBench({
      decide: ({ connection }) => {
        if (connection !== 'life-1' || refusals === 0) return undefined
        refusals -= 1
        return { outcome: 'refused' }
      },
    })
    await bench.createTopics(['in', 'out'])
    const life = await bench.start(passing())
    expect(life.app.state).toBe('running')
    await life.close()
  })

  test('rewinds after an abort, a few times in a row, then starts over, and gives up in the end', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    await bench.produce('in', [{ key: 'a', value: '1' }])
    let commits = 0
    const life = await bench.start(passing(), {
      limits: { unitTimeoutMs: 60_000 },
      wrap: (transport) =>
        gated(transport, {
          beforeCommit: async () => {
            commits += 1
            if (commits > 1) throw new TransportError('MILLRACE_X', 'abortable', { message: 'no' })
          },
        }),
    })
    expect(await life.failure()).toMatchObject({ code: 'MILLRACE_X' })
    const kinds = life.events.map(({ kind }) => kind)
    expect(kinds.filter((kind) => kind === 'rewound').length).toBeGreaterThan(3)
    expect(kinds.filter((kind) => kind === 'restarting').length).toBeGreaterThan(3)
    expect(kinds.slice(kinds.indexOf('rewound')).slice(0, 4)).toEqual([
      'rewound',
      'rewound',
      'rewound',
      'restarting',
    ])
    expect(bench.texts('out')).toEqual([])
  })

  test('goes on after one abort as if nothing had been', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    await bench.produce('in', [
      { key: 'a', value: '1' },
      { key: 'b', value: '2' },
    ])
    let commits = 0
    const life = await bench.start(passing(), {
      wrap: (transport) =>
        gated(transport, {
          beforeCommit: async () => {
            commits += 1
            if (commits === 2) throw new TransportError('MILLRACE_X', 'abortable', { message: '' })
          },
        }),
    })
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['a=1', 'b=2'])
    expect(life.events.filter(({ kind }) => kind === 'rewound')).toHaveLength(1)
    await life.close()
  })

  test('that is fenced fails with that code', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const first = await bench.start(passing())
    const second = await bench.start(passing())
    await bench.produce('in', [{ key: 'a', value: '1' }])
    expect(await first.failure()).toMatchObject({ code: 'MILLRACE_PRODUCER_FENCED' })
    await second.caughtUp()
    expect(bench.texts('out')).toEqual(['a=1'])
    await second.close()
  })
})
