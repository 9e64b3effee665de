/** A thread that runs its share of seeds for test/simulation/main.ts. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Guarantee } from '../../runtime/config.ts'
import { hunt, type Seeds } from './hunt.ts'

/** What a worker is given. */
export interface WorkerOrder extends Seeds {
  readonly guarantee: Guarantee
}

/** What a worker tells: a seed that held, or, last of all, the first that did not. */
export type WorkerAnswer =
  { readonly kind: 'ran' } | { readonly kind: 'over'; readonly seed: number | undefined }

const order = workerData as WorkerOrder
const tell = (answer: WorkerAnswer): void => parentPort?.postMessage(answer)
const failed = await hunt(order, { guarantee: order.guarantee }, () => tell({ kind: 'ran' }))
tell({ kind: 'over', seed: failed?.seed })
