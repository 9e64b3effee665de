import { afterAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'
import { transportConformance } from '../../transport/conformance.ts'
import {
  memoryLog,
  type MemoryConnection,
  type MemoryLog,
} from '../../transport/memory/memory-log.ts'

describe('the memory log', () => {
  const clock = systemClock()
  let log: MemoryLog | undefined
  const current = (): MemoryLog => {
    if (log === undefined) throw new Error('no log was opened')
    return log
  }
  const connections = new WeakMap<object, MemoryConnection>()

  const leftOut = transportConformance(
    {
      clock,
      open: () => {
        log = memoryLog({ clock })
        connections.set(log, log)
        return Promise.resolve(log)
      },
      reopen: () => Promise.resolve(current().connect()),
      crash: (crashed) => {
        connections.get(crashed)?.kill()
        return Promise.resolve()
      },
      purge: (_, before) => Promise.resolve(current().purgeBefore(before)),
      compact: (_, of) => Promise.resolve(current().compact(of)),
      truncate: (_, at) => Promise.resolve(current().truncate(at)),
    },
    test,
  )

  afterAll(() => {
    expect(leftOut).toEqual([])
  })
})
