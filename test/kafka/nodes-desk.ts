/**
 * One cluster of three nodes for all files of a run that stop, kill and halt nodes. It is started for
 * the first of them, lent to one at a time, and made whole in between. The files run in processes of
 * their own, so the desk is a server on loopback: a connection to it is a place in the queue and then
 * the loan, which ends with the connection, however its file ended (borrowed-nodes.ts has that side).
 * The nodes stay children of the desk's process.
 */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { TestCluster } from './broker.ts'
import { makeAsNew, makeWhole } from './whole-cluster.ts'

/** What a borrower asks for: that something is done to a node, or that all are whole (`node` is 0 then). */
export interface DeskRequest {
  readonly id: number
  readonly act: 'start' | 'stop' | 'kill' | 'whole'
  readonly node: number
}

/** The answer to a request; that to number 0, which nobody asks, is the loan itself. */
export interface DeskAnswer {
  readonly id: number
  /** What went wrong; the other fields mean nothing then. */
  readonly error?: string
  readonly brokers: readonly string[]
  readonly nodes: readonly DeskNode[]
}

/** A node, with the process it has just now. */
export interface DeskNode {
  readonly id: number
  readonly home: string
  readonly pid?: number
}

/** In three nodes a reader can choose the nearest, and a group can be full. */
const PROPERTIES = {
  'replica.selector.class': 'org.apache.kafka.common.replica.RackAwareReplicaSelector',
  'group.max.size': '8',
}

/** The desk, until it is closed; the cluster ends with it. */
export class NodesDesk implements AsyncDisposable {
  readonly port: number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #cluster: TestCluster | undefined
  /** Settles when the last of the queue has given back. */
  #turn: Promise<void> = Promise.resolve()

  private constructor(server: Server, port: number) {
    this.#server = server
    this.port = port
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      // A borrower that was killed.
      socket.on('error', () => socket.destroy())
      this.#turn = this.#turn.then(() => this.#lend(socket))
    })
  }

  /** Opens the desk; nothing is started yet. */
  static async open(): Promise<NodesDesk> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return new NodesDesk(server, address.port)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
    await this.#turn
    await this.#cluster?.[Symbol.asyncDispose]()
  }

  async #lend(socket: Socket): Promise<void> {
    if (socket.destroyed) return
    const ended = new Promise((resolve) => socket.once('close', resolve))
    try {
      const cluster = await this.#whole()
      answer(socket, { id: 0, ...described(cluster) })
      const lines = createInterface(socket)
      lines.on('line', (line) => void serve(cluster, socket, JSON.parse(line) as DeskRequest))
      await ended
    } catch (error) {
      answer(socket, { id: 0, error: String(error), brokers: [], nodes: [] })
      socket.end()
    }
  }

  /** As new; a new cluster where there is none, or what was done to it cannot be undone. */
  async #whole(): Promise<TestCluster> {
    const before = this.#cluster
    this.#cluster = undefined
    if (before !== undefined) {
      try {
        await makeAsNew(before)
        this.#cluster = before
        return before
      } catch (error) {
        console.warn(`three nodes are started anew: ${String(error)}`)
        await before[Symbol.asyncDispose]()
      }
    }
    this.#cluster = await TestCluster.start({ nodes: 3, properties: PROPERTIES })
    return this.#cluster
  }
}

async function serve(cluster: TestCluster, socket: Socket, request: DeskRequest): Promise<void> {
  const { id, act, node } = request
  try {
    if (act === 'whole') await makeWhole(cluster)
    else await cluster.node(node)[act]()
    answer(socket, { id, ...described(cluster) })
  } catch (error) {
    answer(socket, { id, error: String(error), brokers: [], nodes: [] })
  }
}

function described({ brokers, nodes }: TestCluster): Omit<DeskAnswer, 'id' | 'error'> {
  return {
    brokers,
    nodes: nodes.map(({ id, home, pid }) => ({ id, home, ...(pid === undefined ? {} : { pid }) })),
  }
}

function answer(socket: Socket, what: DeskAnswer): void {
  if (!socket.destroyed) socket.write(`${JSON.stringify(what)}\n`)
}
