import { Writable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import type { Clock } from '../../model/clock.ts'
import { units } from '../../cli/options.ts'
import { openOutput } from '../../cli/output.ts'
import { progressBar, progressLine, type ProgressState } from '../../cli/progress.ts'
import { formatBytes, formatDuration, parseBytes, parseDurationMs } from '../../cli/quantities.ts'
import { cellWidth, cut, fit, visible } from '../../cli/terminal-text.ts'

describe('quantities', () => {
  test.each([
    ['5MiB', 5 * 2 ** 20],
    ['64KiB', 65_536],
    ['1.5 MiB', 1_572_864],
    ['5mb', 5_000_000],
    ['1GiB', 2 ** 30],
    ['5000000', 5_000_000],
    ['12B', 12],
  ])('%s is %i bytes', (text, bytes) => expect(parseBytes(text)).toBe(bytes))

  test.each(['', 'MiB', '-5MiB', '5M', '5 apples', '0', '1e9', '99999999GiB', '5MiBMiB'])(
    '%j is no size',
    (text) => expect(parseBytes(text)).toBeUndefined(),
  )

  test.each([
    ['250ms', 250],
    ['10s', 10_000],
    ['1.5m', 90_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['0s', 0],
  ])('%s is %i milliseconds', (text, ms) => expect(parseDurationMs(text)).toBe(ms))

  test.each(['', '10', 's', '-1s', '10 sec', '1w'])('%j is no duration', (text) =>
    expect(parseDurationMs(text)).toBeUndefined(),
  )

  test('are written for people', () => {
    expect([0, 812, 1024, 5 * 2 ** 20, 3.25 * 2 ** 30].map(formatBytes)).toEqual([
      '0 B',
      '812 B',
      '1.0 KiB',
      '5.0 MiB',
      '3.3 GiB',
    ])
    expect([0, 812, 12_400, 200_000, 7_500_000].map(formatDuration)).toEqual([
      '0.0 s',
      '0.8 s',
      '12 s',
      '3 min 20 s',
      '2 h 5 min',
    ])
  })

  test.each([
    ['0', [0]],
    ['0-2', [0, 1, 2]],
    ['3,0-1,1', [0, 1, 3]],
  ])('%s names partitions', (text, numbers) => expect(units.parse(text)).toEqual(numbers))

  test.each(['', '2-1', 'a', '1,', '-1'])('%j names none', (text) =>
    expect(units.parse(text)).toBeUndefined(),
  )
})

describe('text on a terminal', () => {
  test('shows control characters in place of obeying them', () => {
    expect(visible('a\u001b[2Jb\rc\u202ed')).toBe('a\\x1b[2Jb\\x0dc\\u202ed')
  })

  test('is measured in cells', () => {
    expect(['abc', '日本', 'e\u0301', '🎬'].map(cellWidth)).toEqual([3, 4, 1, 2])
    expect(cut('日本語', 5)).toBe('日本…')
    expect(cut('abc', 3)).toBe('abc')
    expect(fit('日本語', 4)).toBe('日… ')
    expect(fit('ab', 4)).toBe('ab  ')
  })
})

const HALF: ProgressState = {
  label: 'clip.mp4',
  unit: 'bytes',
  done: 5 * 2 ** 20,
  total: 10 * 2 ** 20,
  elapsedMs: 2000,
  note: '',
}

describe('progress', () => {
  test('is a sentence in a log', () => {
    expect(progressLine(HALF)).toBe('clip.mp4: 5.0 MiB of 10.0 MiB (50 %), 2.5 MiB/s, 2.0 s left')
    expect(progressLine({ ...HALF, total: undefined, note: 'chunk 3' })).toBe(
      'clip.mp4: 5.0 MiB, 2.5 MiB/s, chunk 3',
    )
  })

  test('promises nothing in its first moments, nor about nothing', () => {
    expect(progressLine({ ...HALF, elapsedMs: 10 })).toBe('clip.mp4: 5.0 MiB of 10.0 MiB (50 %)')
    expect(progressLine({ ...HALF, done: 0 })).toBe('clip.mp4: 0 B of 10.0 MiB (0 %)')
    expect(progressLine({ ...HALF, done: 0, total: 0 })).toBe('clip.mp4: 0 B')
  })

  test('is a bar that is never wider than the terminal', () => {
    expect(progressBar(HALF, 120)).toContain('███████████████░░░░░░░░░░░░░░░')
    for (let cells = 20; cells < 160; cells += 1) {
      expect(cellWidth(progressBar({ ...HALF, label: '映画.mp4' }, cells))).toBeLessThanOrEqual(
        cells,
      )
    }
  })
})

/** A clock whose timers fire when `advance` says so. */
function handMovedClock(): Clock & { advance(ms: number): void } {
  let now = 0
  let waiting: { readonly at: number; readonly run: () => void }[] = []
  return {
    now: () => now,
    monotonic: () => now,
    timer: (delayMs, run) => {
      const entry = { at: now + delayMs, run }
      waiting.push(entry)
      return { cancel: () => (waiting = waiting.filter((other) => other !== entry)) }
    },
    yield: () => Promise.resolve(),
    random: () => 0,
    uuid: () => '',
    advance: (ms) => {
      now += ms
      const due = waiting.filter(({ at }) => at <= now)
      waiting = waiting.filter(({ at }) => at > now)
      for (const { run } of due) run()
    },
  }
}

/** A stream that keeps what was written. */
class Screen extends Writable {
  text = ''
  readonly columns = 80
  readonly isTTY: boolean

  constructor(isTTY: boolean) {
    super({ decodeStrings: false })
    this.isTTY = isTTY
  }

  override _write(text: string, _: string, done: () => void): void {
    this.text += text
    done()
  }

  take(): string {
    const { text } = this
    this.text = ''
    return text.replaceAll('\u001b', 'ESC')
  }
}

function outputOn(options: { isTTY: boolean; json?: boolean }) {
  const [stdout, stderr, clock] = [
    new Screen(options.isTTY),
    new Screen(options.isTTY),
    handMovedClock(),
  ]
  const streams = { stdout, stderr } as unknown as Pick<NodeJS.Process, 'stdout' | 'stderr'>
  return {
    stdout,
    stderr,
    clock,
    output: openOutput({ ...streams, clock, json: options.json ?? false }),
  }
}

describe('the output of a command', () => {
  test('on a terminal redraws its bars in place, below the text', () => {
    const { stdout, stderr, clock, output } = outputOn({ isTTY: true })
    const first = output.progress('one', { unit: 'bytes', total: 100 })
    const second = output.progress('two', { unit: 'records' })
    clock.advance(80)
    expect(stderr.take().split('\n')).toHaveLength(3)
    first.update(50)
    first.update(60)
    second.update(7)
    expect(stderr.take()).toBe('')
    clock.advance(80)
    expect(stderr.take()).toMatch(/^ESC\[2AESC\[Jone .*60 B of 100 B.*\ntwo .*7 records\n$/)
    output.result('done', 'a result', {})
    expect(stdout.take()).toBe('a result\n')
    expect(stderr.take()).toMatch(/^ESC\[2AESC\[Jone .*\ntwo .*\n$/)
    first.end()
    expect(stderr.take()).toMatch(/^ESC\[2AESC\[Jone: 60 B of 100 B \(60 %\)\ntwo .*\n$/)
    output.close()
    expect(stderr.take()).toBe('ESC[1AESC[J')
  })

  test('in a log reports every few seconds and at the end', () => {
    const { stderr, clock, output } = outputOn({ isTTY: false })
    const progress = output.progress('one', { unit: 'records', total: 100 })
    for (let second = 1; second <= 12; second += 1) {
      clock.advance(1000)
      progress.update(second)
    }
    progress.end('all in')
    expect(stderr.take().trimEnd().split('\n')).toEqual([
      'one: 5 of 100 records (5 %), 1.0/s, 1 min 35 s left',
      'one: 10 of 100 records (10 %), 1.0/s, 1 min 30 s left',
      'one: 12 of 100 records (12 %), 1.0/s, 1 min 28 s left, all in',
    ])
    output.note('evil \u001b[2J')
    expect(stderr.take()).toBe('evil \\x1b[2J\n')
  })

  test('as JSON is one object a line on standard output, and nothing else', () => {
    const { stdout, stderr, output } = outputOn({ isTTY: true, json: true })
    output.result('made', 'made it', { bytes: 3 })
    output.note('by the way', { about: 'state' })
    const progress = output.progress('one', { unit: 'bytes', total: 4 })
    progress.update(4)
    progress.end()
    output.close()
    expect(stderr.take()).toBe('')
    expect(
      stdout
        .take()
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([
      { event: 'made', bytes: 3 },
      { event: 'note', text: 'by the way', about: 'state' },
      { event: 'progress', label: 'one', unit: 'bytes', done: 4, total: 4, elapsedMs: 0 },
    ])
  })
})
