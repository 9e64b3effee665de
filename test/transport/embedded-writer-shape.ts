/** What the killed writer and the test that kills it agree on. */
import { asPartition, asTopic } from '../../model/position.ts'

export const TOPIC = asTopic('written')
export const PARTITIONS = 3
export const GROUP = 'writer-group'
export const INPUT = { topic: asTopic('written'), partition: asPartition(0) }

/** Uniform numbers in [0, 1) from a seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
