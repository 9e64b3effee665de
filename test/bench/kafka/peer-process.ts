/**
 * Runs a peer: a small program that is given its load as JSON, says `begin` when it is connected, and
 * `end RECORDS BYTES` when all is done. After each it waits for a line, while its processor time is
 * read. So its start is not in the figures, as it is not in ours.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { BenchWork } from '../bench-case.ts'
import type { Load } from './load.ts'
import type { Moved } from './ours.ts'
import type { PeerCommand } from './peers.ts'
import { processCost } from './process-cost.ts'

/** Below what a child of the benchmark may take, so that no peer outlives it. */
const PEER_DEADLINE_MS = 200_000

/** What a peer did and what it cost. */
export interface PeerRun extends Moved {
  readonly cost: Required<Pick<BenchWork, 'seconds' | 'cpuSeconds' | 'peakBytes'>>
}

/** Runs it from start to end. Rejects, with its last words, where it fails. */
export async function runPeer([program, ...options]: PeerCommand, load: Load): Promise<PeerRun> {
  const child = spawn(program, [...options, JSON.stringify(load)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: PEER_DEADLINE_MS,
    killSignal: 'SIGKILL',
  })
  const closed = once(child, 'close')
  try {
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
    const next = async (): Promise<string> => String((await lines.next()).value ?? '')
    const pid = child.pid ?? 0
    if ((await next()) !== 'begin') throw new Error(`${program} did not begin`)
    const before = processCost(pid)
    const startMs = performance.now()
    child.stdin.write('\n')
    const [word, records, bytes] = (await next()).split(' ')
    const seconds = (performance.now() - startMs) / 1000
    const after = processCost(pid)
    child.stdin.end('\n')
    if (word !== 'end' || before === undefined || after === undefined)
      throw new Error(`${program} did not come to its end`)
    const cpuSeconds = after.cpuSeconds - before.cpuSeconds
    const cost = { seconds, cpuSeconds, peakBytes: after.peakBytes }
    await closed
    return { records: Number(records), bytes: Number(bytes), cost }
  } finally {
    child.kill('SIGKILL')
    await closed
  }
}
