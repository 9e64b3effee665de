/** The readings of one process: time, processor time and the most memory it ever had. */
import { readFileSync } from 'node:fs'
import type { BenchWork } from './bench-case.ts'

/** One measured run. */
export interface Measured extends BenchWork {
  readonly seconds: number
  /** User and system time of all threads: the loop, the garbage collector, the pool that reads and writes files, LevelDB. */
  readonly cpuSeconds: number
  /** The most memory that was resident at once since the process began, in bytes. */
  readonly peakBytes: number
}

/** Runs `work` between two readings. */
export async function measured(work: () => Promise<BenchWork>): Promise<Measured> {
  globalThis.gc?.()
  const cpuBefore = process.cpuUsage()
  const before = process.hrtime.bigint()
  const done = await work()
  const seconds = Number(process.hrtime.bigint() - before) / 1e9
  const { user, system } = process.cpuUsage(cpuBefore)
  return { seconds, cpuSeconds: (user + system) / 1e6, peakBytes: peakBytes(), ...done }
}

/** Linux says it exactly; elsewhere the operating system's own count of kibibytes. */
function peakBytes(): number {
  try {
    const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    if (kibibytes !== undefined) return Number(kibibytes) * 1024
  } catch {
    // No such file: not Linux.
  }
  return process.resourceUsage().maxRSS * 1024
}
