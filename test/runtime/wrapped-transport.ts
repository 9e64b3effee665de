/** A log whose producers and memberships a test may hold up or let fail; everything else is the log's own. */
import type { Membership, MembershipListener } from '../../transport/membership.ts'
import type { Producer, Transport } from '../../transport/transport.ts'

/** What stands before a producer's calls. What it throws, the call throws, without reaching the log. */
export interface ProducerGate {
  readonly beforeCommit?: () => Promise<void>
  readonly beforeInit?: () => Promise<void>
  /** Called for every record that reaches the producer. */
  readonly onSend?: (topic: string) => void
}

/** The transport with a gate before every transactional producer. */
export function gated(transport: Transport, gate: ProducerGate): Transport {
  return {
    admin: transport.admin,
    openReader: (options) => transport.openReader(options),
    openMembership: (options) => transport.openMembership(options),
    openProducer: (options) => {
      const producer = transport.openProducer(options)
      return options.transactionalId === undefined ? producer : gatedProducer(producer, gate)
    },
    [Symbol.asyncDispose]: async () => await transport[Symbol.asyncDispose](),
  }
}

/** The transport whose first membership ends for good when `end` resolves, with that error: its listener is told nothing more, and the group learns that it has left. */
export function endingMembership(transport: Transport, end: Promise<Error>): Transport {
  let isFirst = true
  return {
    admin: transport.admin,
    openReader: (options) => transport.openReader(options),
    openProducer: (options) => transport.openProducer(options),
    openMembership: (options) => {
      if (!isFirst) return transport.openMembership(options)
      isFirst = false
      return endedMembership((listener) => transport.openMembership({ ...options, listener }), {
        listener: options.listener,
        end,
      })
    },
    [Symbol.asyncDispose]: async () => await transport[Symbol.asyncDispose](),
  }
}

function endedMembership(
  open: (listener: MembershipListener) => Membership,
  { listener, end }: { readonly listener: MembershipListener; readonly end: Promise<Error> },
): Membership {
  let isOver = false
  const tell = async (word: () => Promise<void>): Promise<void> => {
    if (!isOver) await word()
  }
  const membership = open({
    joining: async () => await tell(async () => await listener.joining()),
    revoked: async (partitions) => await tell(async () => await listener.revoked(partitions)),
    assigned: async (assigned) => await tell(async () => await listener.assigned(assigned)),
    lost: async (at, reason) => await tell(async () => await listener.lost(at, reason)),
  })
  const ended = end.then((error) => {
    isOver = true
    membership.leave().catch(() => {})
    throw error
  })
  return {
    get metadata() {
      return membership.metadata
    },
    get aliveUntilMs() {
      return membership.aliveUntilMs
    },
    start: () => membership.start(),
    closed: Promise.race([membership.closed, ended]),
    requestRebalance: () => membership.requestRebalance(),
    leave: async () => await membership.leave(),
    [Symbol.asyncDispose]: async () => await membership[Symbol.asyncDispose](),
  }
}

function gatedProducer(producer: Producer, gate: ProducerGate): Producer {
  return {
    init: async () => {
      await gate.beforeInit?.()
      await producer.init()
    },
    send: (record) => {
      gate.onSend?.(record.topic)
      producer.send(record)
    },
    get bufferedBytes() {
      return producer.bufferedBytes
    },
    flush: async () => await producer.flush(),
    sendOffsets: async (offsets, group) => await producer.sendOffsets(offsets, group),
    commit: async () => {
      await gate.beforeCommit?.()
      await producer.commit()
    },
    abort: async () => await producer.abort(),
    discard: () => producer.discard(),
    [Symbol.asyncDispose]: async () => await producer[Symbol.asyncDispose](),
  }
}
