/** What a process has cost so far, as the kernel counts it. */
import { readFileSync } from 'node:fs'

/** The kernel counts processor time in hundredths of a second. */
const TICKS_A_SECOND = 100
/** Where user and system time stand in /proc/PID/stat, counted behind the program's name. */
const [USER_FIELD, SYSTEM_FIELD] = [11, 12]

/** Processor time of all threads since the process began, and the most memory it had at once. */
export interface ProcessCost {
  readonly cpuSeconds: number
  readonly peakBytes: number
}

/** Undefined where the process has ended, or the kernel does not tell. */
export function processCost(pid: number): ProcessCost | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const ticks = Number(fields[USER_FIELD]) + Number(fields[SYSTEM_FIELD])
    const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
    // One that is ending has given its memory back already.
    if (peak === undefined) return undefined
    return { cpuSeconds: ticks / TICKS_A_SECOND, peakBytes: Number(peak) * 1024 }
  } catch {
    return undefined
  }
}
