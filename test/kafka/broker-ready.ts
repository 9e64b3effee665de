/** Whether a broker is there: asked by the smallest request of the protocol, on a socket of its own. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const RETRY_MS = 100
const ANSWER_MS = 5_000

/** Asks again and again; false where `deadlineMs` pass, or `goesOn` turns false, before an answer. */
export async function brokerAnswers(
  port: number,
  deadlineMs: number,
  goesOn: () => boolean,
): Promise<boolean> {
  const end = Date.now() + deadlineMs
  while (Date.now() < end && goesOn()) {
    if (await answersOnce(port)) return true
    await sleep(RETRY_MS)
  }
  return false
}

async function answersOnce(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.setTimeout(ANSWER_MS, () => socket.destroy())
  try {
    await once(socket, 'connect')
    socket.write(API_VERSIONS)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    return answer.readInt16BE(8) === 0
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** ApiVersions, version 0, correlation 7, no client id. */
const API_VERSIONS = Buffer.from('0000000a' + '0012' + '0000' + '00000007' + 'ffff', 'hex')
