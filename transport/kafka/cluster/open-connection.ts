/**
 * Opens a connection, and finds out what a port is that closed it before TLS was agreed on. A broker
 * that speaks no TLS there does so, without a word, and so does one that is just being stopped: the
 * first has to be told to whoever set it up, the second passes. A port that answers a question in
 * plain words is the first. That question names this client and nothing else: no password goes out.
 */
import { asError } from '../../../model/errors.ts'
import { tlsFailed, type Address } from '../kafka-errors.ts'
import { BrokerConnection, type ConnectionSetting } from './broker-connection.ts'
import { ClosedBeforeTls } from './connection-problem.ts'

/** How long a port has for an answer in plain words. */
const PLAIN_DEADLINE_MS = 2_000

/** As BrokerConnection.open; rejects with MILLRACE_KAFKA_TLS as well where TLS meets a port without it. */
export async function openConnection(
  address: Address,
  setting: ConnectionSetting,
  signal: AbortSignal,
): Promise<BrokerConnection> {
  try {
    return await BrokerConnection.open(address, setting, signal)
  } catch (error) {
    const problem = asError(error)
    if (!(problem.cause instanceof ClosedBeforeTls)) throw problem
    if (!(await speaksPlainly(address, setting, signal))) throw problem
    const why = 'it speaks no TLS on this port. Use a port with TLS, or leave TLS out'
    throw tlsFailed(address, why, problem)
  }
}

async function speaksPlainly(
  address: Address,
  setting: ConnectionSetting,
  signal: AbortSignal,
): Promise<boolean> {
  const connectDeadlineMs = Math.min(setting.limits.connectDeadlineMs, PLAIN_DEADLINE_MS)
  const limits = { ...setting.limits, connectDeadlineMs }
  const plain = { ...setting, tls: undefined, sasl: undefined, limits }
  try {
    const connection = await BrokerConnection.open(address, plain, signal)
    connection.destroy(new Error('it has said what was asked'))
    return true
  } catch {
    return false
  }
}
