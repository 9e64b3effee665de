/** The three nodes of the run, as the file that has borrowed them sees them (nodes-desk.ts lends them). */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { inject } from 'vitest'
import type { KafkaNode } from './broker.ts'
import type { DeskAnswer, DeskNode, DeskRequest } from './nodes-desk.ts'

/**
 * Waits for its turn and for all nodes to be there and in sync. For `beforeAll` of a file; until the
 * loan is disposed of, no other file has the nodes.
 */
export async function borrowNodes(): Promise<BorrowedNodes> {
  const socket = connect(inject('kafkaNodesPort'), '127.0.0.1')
  await once(socket, 'connect')
  const desk = new Desk(socket)
  return new BorrowedNodes(desk, await desk.loan)
}

/** Three nodes; what is done to them need not be undone, but for the tests of the same file. */
export class BorrowedNodes implements AsyncDisposable {
  /** host:port of each node, in the order of their numbers. */
  readonly brokers: readonly string[]
  readonly nodes: readonly KafkaNode[]
  readonly #desk: Desk

  constructor(desk: Desk, { brokers, nodes }: DeskAnswer) {
    this.#desk = desk
    this.brokers = brokers
    this.nodes = nodes.map((node) => new BorrowedNode(desk, node))
  }

  /** The node of that number, from 1. */
  node(id: number): KafkaNode {
    const node = this.nodes[id - 1]
    if (node === undefined) throw new RangeError(`there is no node ${id}`)
    return node
  }

  /** Lets halted nodes go on, starts those that ended, and waits until all replicas are in sync. */
  async whole(): Promise<void> {
    await this.#desk.ask('whole', 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#desk[Symbol.asyncDispose]()
  }
}

class BorrowedNode implements KafkaNode {
  readonly id: number
  readonly home: string
  readonly #desk: Desk

  constructor(desk: Desk, { id, home }: DeskNode) {
    this.id = id
    this.home = home
    this.#desk = desk
  }

  async start(): Promise<void> {
    await this.#desk.ask('start', this.id)
  }

  async stop(): Promise<void> {
    await this.#desk.ask('stop', this.id)
  }

  async kill(): Promise<void> {
    await this.#desk.ask('kill', this.id)
  }

  // At once, and so not by way of the desk.
  halt(): void {
    this.#signal('SIGSTOP')
  }

  resume(): void {
    this.#signal('SIGCONT')
  }

  async said(): Promise<string> {
    return await readFile(join(this.home, 'out.txt'), 'utf8')
  }

  #signal(signal: NodeJS.Signals): void {
    const pid = this.#desk.pidOf(this.id)
    if (pid !== undefined) process.kill(pid, signal)
  }
}

/** The connection to the desk: requests by number, and the processes as of the last answer. */
class Desk implements AsyncDisposable {
  readonly loan: Promise<DeskAnswer>
  readonly #socket: Socket
  readonly #asked = new Map<number, PromiseWithResolvers<DeskAnswer>>()
  #nodes: readonly DeskNode[] = []

  constructor(socket: Socket) {
    this.#socket = socket
    this.loan = this.#answerTo(0)
    createInterface(socket).on('line', (line) => this.#take(JSON.parse(line) as DeskAnswer))
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      const gone = new Error('the desk that lends the nodes is gone')
      for (const { reject } of this.#asked.values()) reject(gone)
    })
  }

  async ask(act: DeskRequest['act'], node: number): Promise<void> {
    const id = this.#lastId + 1
    this.#lastId = id
    const answered = this.#answerTo(id)
    const request: DeskRequest = { id, act, node }
    this.#socket.write(`${JSON.stringify(request)}\n`)
    await answered
  }

  pidOf(id: number): number | undefined {
    return this.#nodes.find((node) => node.id === id)?.pid
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.destroyed) return
    const closed = once(this.#socket, 'close')
    this.#socket.destroy()
    await closed
  }

  #lastId = 0

  #answerTo(id: number): Promise<DeskAnswer> {
    const answered = Promise.withResolvers<DeskAnswer>()
    this.#asked.set(id, answered)
    return answered.promise
  }

  #take(answer: DeskAnswer): void {
    const answered = this.#asked.get(answer.id)
    this.#asked.delete(answer.id)
    if (answer.error !== undefined) answered?.reject(new Error(answer.error))
    else {
      this.#nodes = answer.nodes
      answered?.resolve(answer)
    }
  }
}
