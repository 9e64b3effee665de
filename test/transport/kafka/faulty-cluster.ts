/**
 * A cluster of three brokers in memory behind the seam of the producer, with everything that goes
 * wrong on the way drawn from the clock's seed: requests and answers get lost with their connection, and
 * a batch whose connection broke may arrive all the same, much later (requests to coordinators do not: no client
 * of Kafka survives each late InitProducerId, or a late EndTxn of version 1; tests ask for single ones); leaders and coordinators move;
 * replicas are missing; answers take their time. Requests of one connection arrive in order.
 */
import assert from 'node:assert/strict'
import type { Clock } from '../../../model/clock.ts'
import { describePartition, type TopicPartition } from '../../../model/position.ts'
import { ADD_OFFSETS_TO_TXN } from '../../../transport/kafka/api/add-offsets-to-txn.ts'
import { ADD_PARTITIONS_TO_TXN } from '../../../transport/kafka/api/add-partitions-to-txn.ts'
import type { Api } from '../../../transport/kafka/api/api.ts'
import { DESCRIBE_CONFIGS } from '../../../transport/kafka/api/describe-configs.ts'
import { END_TXN } from '../../../transport/kafka/api/end-txn.ts'
import { INIT_PRODUCER_ID } from '../../../transport/kafka/api/init-producer-id.ts'
import type {
  ProduceRequest,
  ProduceResponse,
  ProducedPartition,
} from '../../../transport/kafka/api/produce.ts'
import { TXN_OFFSET_COMMIT } from '../../../transport/kafka/api/txn-offset-commit.ts'
import type { TransactionVersion } from '../../../transport/kafka/cluster/cluster.ts'
import { CODE } from '../../../transport/kafka/error-codes.ts'
import { brokerUnreachable } from '../../../transport/kafka/kafka-errors.ts'
import type { PartitionLeader } from '../../../transport/kafka/cluster/metadata-cache.ts'
import type { ProducerLink } from '../../../transport/kafka/producer/producer-link.ts'
import { unknownPartition } from '../../../transport/log-errors.ts'
import { FakeCoordinator } from './fake-coordinator.ts'
import { arrivedBatch, FakePartition } from './fake-partition.ts'

/** How often what goes wrong, as probabilities for each request. */
export interface Faults {
  /** The connection breaks: before the request, or before its answer. */
  readonly cut: number
  /** The leader of a partition, or a coordinator, moves. */
  readonly move: number
  /** A code that passes, for one partition of a request. */
  readonly refuse: number
}

export const NO_FAULTS: Faults = { cut: 0, move: 0, refuse: 0 }

interface Connection {
  isBroken: boolean
  lastMs: number
  readonly pending: Set<(error: Error) => void>
}

const NODES = [1, 2, 3] as const
const LATENCY_MS = 3
const LATE_MS = 400

export class FaultyCluster {
  readonly clock: Clock
  readonly version: TransactionVersion
  faults: Faults
  maxMessageBytes = 1_048_588
  /** Nodes that take requests and say nothing, as halted ones do. */
  readonly silent = new Set<number>()
  /** What becomes of all requests for now: never there, or served and never answered. */
  fate: 'lost' | 'unheard' | undefined
  /** After how long the next requests to coordinators are served, beyond the patience of whoever asked. */
  readonly delaysMs: number[] = []
  /** Codes that the next appends get, before anything is done. */
  readonly script: number[] = []
  readonly partitions = new Map<string, FakePartition>()
  /** Committed offsets of groups, by `group partition`. */
  readonly offsets = new Map<string, number>()
  readonly requests: { readonly node: number; readonly api: string }[] = []
  readonly #coordinators = new Map<string, FakeCoordinator>()
  #producerIds = 1000
  #coordinatorNode = 1

  constructor(
    clock: Clock,
    {
      version = 2,
      faults = NO_FAULTS,
    }: { readonly version?: TransactionVersion; readonly faults?: Faults } = {},
  ) {
    this.clock = clock
    this.version = version
    this.faults = faults
  }

  create(at: TopicPartition): FakePartition {
    const partition = new FakePartition()
    partition.leader = this.#any(NODES)
    this.partitions.set(describePartition(at), partition)
    return partition
  }

  get isAtRest(): boolean {
    return [...this.#coordinators.values()].every(({ isAtRest }) => isAtRest)
  }

  link(): ProducerLink {
    const known = new Map<string, PartitionLeader>()
    const connections = new Map<string, Connection>()
    const over = (name: string): Connection => {
      let connection = connections.get(name)
      if (connection === undefined || connection.isBroken) {
        connection = { isBroken: false, lastMs: 0, pending: new Set() }
        connections.set(name, connection)
      }
      return connection
    }
    return {
      clock: this.clock,
      knownLeader: (at) => known.get(describePartition(at)),
      leader: async (at) => {
        await this.#rest(LATENCY_MS)
        const partition = this.partitions.get(describePartition(at))
        if (partition === undefined) throw unknownPartition(at)
        const leader = { node: partition.leader, leaderEpoch: partition.leaderEpoch, topicId: '' }
        known.set(describePartition(at), leader)
        return leader
      },
      invalidate: (at) => void known.delete(describePartition(at)),
      produce: (node, request) =>
        this.#exchange(over(`produce ${node}`), () => this.#produce(node, request), {
          node,
          mayBeLate: true,
        }),
      coordinator: async () => {
        await this.#rest(LATENCY_MS)
        return this.#coordinatorNode
      },
      forgetCoordinator: () => undefined,
      coordinate: ({ kind, node }, [api, request]) =>
        this.#exchange(over(`${kind} ${node}`), () => this.#coordinate(node, api, request), {
          node,
          mayBeLate: false,
        }),
      abandon: (node, lane) => this.#cut(over(`${lane} ${node}`), node),
      any: async ([api, request]) => {
        await this.#rest(LATENCY_MS)
        return this.#answer(api, request)
      },
      transactionVersion: async () => this.version,
      [Symbol.asyncDispose]: async () => undefined,
    }
  }

  /** One request and its answer over a connection, each of which may get lost. */
  #exchange<R>(
    connection: Connection,
    serve: () => R,
    { node, mayBeLate }: { readonly node: number; readonly mayBeLate: boolean },
  ): Promise<R> {
    const { promise, resolve, reject } = Promise.withResolvers<R>()
    connection.pending.add(reject)
    const { fate } = this
    const isCut = fate !== undefined || this.#chance(this.faults.cut)
    const isAnswerLost = fate === undefined ? this.#chance(0.5) : fate === 'unheard'
    const delayMs = mayBeLate ? undefined : this.delaysMs.shift()
    this.#later(connection, () => {
      if (delayMs !== undefined) {
        this.clock.timer(delayMs, serve)
        this.#cut(connection, node)
        return
      }
      if (this.silent.has(node)) return
      const isLost = isCut && !isAnswerLost
      if (connection.isBroken || isLost) {
        // Its bytes may be in the broker's queue all the same.
        const isLate = mayBeLate && fate !== 'lost' && this.#chance(0.4)
        if (isLate) this.clock.timer(this.clock.random() * LATE_MS, serve)
        if (isLost) this.#cut(connection, node)
        return
      }
      const answer = serve()
      this.#later(connection, () => {
        if (connection.isBroken) return
        if (isCut) this.#cut(connection, node)
        connection.pending.delete(reject)
        resolve(answer)
      })
    })
    return promise
  }

  #cut(connection: Connection, node: number): void {
    connection.isBroken = true
    const error = brokerUnreachable({ host: 'fake', port: node }, 'the connection was cut')
    for (const reject of connection.pending) reject(error)
  }

  /** In order: nothing overtakes on a connection. */
  #later(connection: Connection, run: () => void): void {
    const now = this.clock.monotonic()
    const atMs = Math.max(now + this.clock.random() * LATENCY_MS, connection.lastMs + 0.001)
    connection.lastMs = atMs
    this.clock.timer(atMs - now, run)
  }

  #produce(node: number, request: ProduceRequest): ProduceResponse {
    this.requests.push({ node, api: 'Produce' })
    const partitions = request.topics.flatMap(({ topic, partitions: of }) =>
      of.map(({ partition, records }): ProducedPartition => {
        const name = `${topic}[${partition}]`
        const found = this.partitions.get(name)
        if (found !== undefined && this.#chance(this.faults.move)) found.lead(this.#any(NODES))
        const outcome = this.#append(node, name, { request, records })
        return {
          topic,
          partition,
          errorMessage: null,
          logStartOffset: 0,
          currentLeader: undefined,
          ...outcome,
        }
      }),
    )
    return { throttleTimeMs: 0, partitions }
  }

  #append(
    node: number,
    name: string,
    { request, records }: { readonly request: ProduceRequest; readonly records: readonly Buffer[] },
  ): { readonly errorCode: number; readonly baseOffset: number } {
    const refused = (errorCode: number) => ({ errorCode, baseOffset: -1 })
    const partition = this.partitions.get(name)
    if (partition === undefined) return refused(CODE.unknownTopicOrPartition)
    if (partition.leader !== node) return refused(CODE.notLeaderOrFollower)
    const scripted = this.script.shift()
    if (scripted !== undefined && scripted !== CODE.none) return refused(scripted)
    const batch = arrivedBatch(records)
    if (batch.sizeBytes > this.maxMessageBytes) return refused(CODE.messageTooLarge)
    const isRefused = this.#chance(this.faults.refuse)
    const passing = this.#any([CODE.notEnoughReplicas, CODE.corruptMessage, CODE.storageError])
    if (isRefused && this.#chance(0.5)) return refused(passing)
    if (request.transactionalId !== null) {
      assert.ok(batch.transactional)
      const code = this.#admit(request.transactionalId, name, batch)
      if (code !== CODE.none) return refused(code)
    }
    const appended = partition.append(batch)
    const isAfter = isRefused && appended.errorCode === CODE.none
    const after = this.#any([CODE.notEnoughReplicasAfterAppend, CODE.requestTimedOut])
    return isAfter ? refused(after) : appended
  }

  /** Whether the transaction takes a batch: version 2 adds its partition on the way. */
  #admit(
    transactionalId: string,
    name: string,
    identity: { readonly producerId: number; readonly producerEpoch: number },
  ): number {
    const coordinator = this.#coordinator(transactionalId)
    if (coordinator.version === 2) return coordinator.add(identity, name, this.#marker(name))
    return coordinator.verify(identity, name)
  }

  #marker(name: string) {
    return (end: {
      readonly isCommit: boolean
      readonly producerId: number
      readonly epoch: number
    }): void => {
      this.partitions
        .get(name)
        ?.mark(end.producerId, end.epoch, end.isCommit ? 'committed' : 'aborted')
    }
  }

  #coordinate<Q, R>(node: number, api: Api<Q, R>, request: Q): R {
    this.requests.push({ node, api: api.name })
    if (this.#chance(this.faults.move)) this.#coordinatorNode = this.#any(NODES)
    const isRefused = this.#chance(this.faults.refuse)
    const passing = this.#any([CODE.coordinatorLoadInProgress, CODE.coordinatorNotAvailable])
    const code =
      node === this.#coordinatorNode ? (isRefused ? passing : CODE.none) : CODE.notCoordinator
    return this.#answer(api, request, code)
  }

  /** The answer to a request, which `code` refuses unless it is 0. */
  #answer<Q, R>(api: Api<Q, R>, request: Q, code = 0): R {
    const answered = this.#served(api, request, code)
    return { throttleTimeMs: 0, ...answered } as R
  }

  #served(api: Api<unknown, unknown>, request: unknown, code: number): object {
    switch (api) {
      case INIT_PRODUCER_ID:
        return this.#init(request as Asked<typeof INIT_PRODUCER_ID>, code)
      case ADD_PARTITIONS_TO_TXN: {
        const { topics, ...producer } = request as Asked<typeof ADD_PARTITIONS_TO_TXN>
        const partitions = topics.flatMap(({ topic, partitions: of }) =>
          of.map((partition) => {
            const name = `${topic}[${partition}]`
            const added =
              code === 0
                ? this.#coordinator(producer.transactionalId).add(
                    producer,
                    name,
                    this.#marker(name),
                  )
                : code
            return { topic, partition, errorCode: added }
          }),
        )
        return { partitions }
      }
      case ADD_OFFSETS_TO_TXN: {
        const { groupId, ...producer } = request as Asked<typeof ADD_OFFSETS_TO_TXN>
        const coordinator = this.#coordinator(producer.transactionalId)
        return {
          errorCode:
            code === 0 ? coordinator.add(producer, `group ${groupId}`, () => undefined) : code,
        }
      }
      case TXN_OFFSET_COMMIT:
        return this.#commitOffsets(request as Asked<typeof TXN_OFFSET_COMMIT>, code)
      case END_TXN: {
        const { committed, transactionalId, ...identity } = request as Asked<typeof END_TXN>
        const ended =
          code === 0 ? this.#coordinator(transactionalId).end(identity, committed) : code
        const none = { producerId: -1, producerEpoch: -1 }
        if (typeof ended === 'number') return { errorCode: ended, ...none }
        return { errorCode: 0, ...(this.version === 2 ? ended : none) }
      }
      case DESCRIBE_CONFIGS: {
        const settings = [
          { name: 'max.message.bytes', value: `${this.maxMessageBytes}`, source: 5 },
        ]
        return { results: [{ errorCode: 0, errorMessage: null, name: '', settings }] }
      }
      default:
        throw new TypeError(`nobody answers ${api.name}`)
    }
  }

  #init(request: Asked<typeof INIT_PRODUCER_ID>, code: number): object {
    const { transactionalId, transactionTimeoutMs, ...expected } = request
    if (transactionalId === null) {
      this.#producerIds += 1
      return { errorCode: 0, producerId: this.#producerIds, producerEpoch: 0 }
    }
    const given =
      code === 0 ? this.#coordinator(transactionalId).init(expected, transactionTimeoutMs) : code
    if (typeof given !== 'number') return { errorCode: 0, ...given }
    return { errorCode: given, producerId: -1, producerEpoch: -1 }
  }

  #commitOffsets(request: Asked<typeof TXN_OFFSET_COMMIT>, code: number): object {
    const { groupId, transactionalId, topics } = request
    const coordinator = this.#coordinator(transactionalId)
    const partitions = topics.flatMap(({ topic, partitions: of }) =>
      of.map(({ partition, offset }) => {
        const name = `${groupId} ${topic}[${partition}]`
        if (code !== 0) return { topic, partition, errorCode: code }
        if (coordinator.version === 1) {
          const verified = coordinator.verify(request, `group ${groupId}`)
          if (verified !== CODE.none) return { topic, partition, errorCode: verified }
        }
        const errorCode = coordinator.add(request, name, ({ isCommit }) => {
          if (isCommit) this.offsets.set(name, offset)
        })
        return { topic, partition, errorCode }
      }),
    )
    return { partitions }
  }

  #coordinator(transactionalId: string): FakeCoordinator {
    let coordinator = this.#coordinators.get(transactionalId)
    if (coordinator === undefined) {
      this.#producerIds += 1
      const { version } = this
      coordinator = new FakeCoordinator(this.clock, { version, producerId: this.#producerIds })
      this.#coordinators.set(transactionalId, coordinator)
    }
    return coordinator
  }

  #rest(mostMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.timer(this.clock.random() * mostMs, resolve)
    })
  }

  #chance(probability: number): boolean {
    return this.clock.random() < probability
  }

  #any<T>(items: readonly T[]): T {
    return items[Math.floor(this.clock.random() * items.length)] as T
  }
}

type Asked<A> = A extends Api<infer Q, unknown> ? Q : never
