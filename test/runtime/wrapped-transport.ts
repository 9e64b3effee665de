/** A log whose producers a test may hold up or let fail; everything else is the log's own. */
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
    [Symbol.asyncDispose]: async () => await producer[Symbol.asyncDispose](),
  }
}
