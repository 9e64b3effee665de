/**
 * Kafka's own measuring programs. They say what they moved and how fast; their processor time is the
 * whole process's, Java's start and warming up included, for they stop for nobody.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { kafkaProgram } from '../../kafka/program.ts'
import type { Load } from './load.ts'
import type { PeerRun } from './peer-process.ts'
import { processCost } from './process-cost.ts'

const LOOK_MS = 20
const TOOL_DEADLINE_MS = 200_000

/** ProducerPerformance, with the load's sizes. */
export async function producerPerformance(load: Load): Promise<PeerRun> {
  const { records, valueBytes, batchBytes, bufferBytes, lingerMs, topic, brokers } = load
  const properties = {
    'bootstrap.servers': brokers,
    acks: 'all',
    'enable.idempotence': 'true',
    'batch.size': batchBytes,
    'buffer.memory': bufferBytes,
    'linger.ms': lingerMs,
    'max.request.size': 2 ** 25,
  }
  const { said, cost } = await tool('ProducerPerformance', [
    '--topic',
    topic,
    '--num-records',
    String(records),
    '--record-size',
    String(valueBytes),
    '--throughput',
    '-1',
    '--producer-props',
    ...Object.entries(properties).map(([name, value]) => `${name}=${value}`),
  ])
  const [, sent, rate] =
    /(\d+) records sent, ([\d.]+) records\/sec[^\n]*max latency/.exec(
      said.split('\n').findLast((line) => line.includes('99.9th')) ?? '',
    ) ?? []
  const seconds = Number(sent) / Number(rate)
  return { records: Number(sent), bytes: Number(sent) * valueBytes, cost: { ...cost, seconds } }
}

/** ConsumerPerformance. The time to join its group is not counted. */
export async function consumerPerformance(load: Load, folder: string): Promise<PeerRun> {
  const { records, valueBytes, fetchBytes, topic, brokers } = load
  const properties = join(folder, 'consumer.properties')
  const lines = [
    'isolation.level=read_committed',
    `fetch.max.bytes=${fetchBytes}`,
    'check.crcs=true',
  ]
  await writeFile(properties, `${lines.join('\n')}\n`)
  const { said, cost } = await tool('ConsumerPerformance', [
    '--bootstrap-server',
    brokers,
    '--topic',
    topic,
    '--messages',
    String(records),
    '--fetch-size',
    String(fetchBytes),
    '--consumer.config',
    properties,
    '--hide-header',
    '--timeout',
    '60000',
  ])
  // Start, end, MB, MB/s, records, records/s, milliseconds of joining, milliseconds of fetching.
  const row = said.split('\n').findLast((line) => line.split(',').length >= 10) ?? ''
  const [, , , , read, , , fetchMs] = row.split(',').map((cell) => Number(cell))
  const seconds = (fetchMs ?? NaN) / 1000
  return { records: read ?? 0, bytes: (read ?? 0) * valueBytes, cost: { ...cost, seconds } }
}

/** Fetches the programs and looks whether there is a Java; rejects where either is not to be had. */
export async function javaTools(): Promise<readonly string[]> {
  await promisify(execFile)('java', ['-version'])
  return [await kafkaProgram('4.1.0')]
}

async function tool(
  name: string,
  options: readonly string[],
): Promise<{ readonly said: string; readonly cost: Omit<PeerRun['cost'], 'seconds'> }> {
  const program = join(await kafkaProgram('4.1.0'), '*')
  const java = ['-Xmx512m', '-cp', program, `org.apache.kafka.tools.${name}`, ...options]
  const child = spawn('java', java, {
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: TOOL_DEADLINE_MS,
    killSignal: 'SIGKILL',
  })
  let said = ''
  child.stdout.on('data', (text: Buffer) => (said += text.toString()))
  let cost = { cpuSeconds: 0, peakBytes: 0 }
  const look = setInterval(() => (cost = processCost(child.pid ?? 0) ?? cost), LOOK_MS)
  try {
    await once(child, 'close')
  } finally {
    clearInterval(look)
  }
  return { said, cost }
}
