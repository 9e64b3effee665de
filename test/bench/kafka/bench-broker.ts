/** The one broker of a run of benchmarks: a real JVM with both compilers, so that it is not what is slow. */
import { TestCluster } from '../../kafka/broker.ts'

/** Where the processes of a benchmark find their brokers; set by who starts one, or by the user. */
export const BROKERS_VARIABLE = 'MILLRACE_BENCH_BROKERS'

const JAVA = ['-Xmx1g', '-Xms1g', '-XX:TieredStopAtLevel=4']
/** Runs write gigabytes and delete them: room comes back at once. */
const PROPERTIES = { 'log.segment.delete.delay.ms': '1000', 'num.network.threads': '3' }

/** Starts a broker and names it in the environment, where nobody named one before. */
export async function benchBroker(): Promise<AsyncDisposable> {
  const given = process.env[BROKERS_VARIABLE]
  if (given !== undefined && given !== '') return { [Symbol.asyncDispose]: async () => {} }
  const cluster = await TestCluster.start({ java: JAVA, properties: PROPERTIES })
  process.env[BROKERS_VARIABLE] = cluster.brokers.join()
  return cluster
}

/** `host:port`, with commas between. */
export function benchBrokers(): string {
  const brokers = process.env[BROKERS_VARIABLE]
  if (brokers === undefined || brokers === '') throw new Error('no broker was started')
  return brokers
}
