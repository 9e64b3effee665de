/**
 * Each order is priced by a slow service. Orders of one customer keep their order, other customers do
 * not wait; a failed call is tried again with growing waits, and an order that fails for good goes to
 * the dead-letter topic. Answers come out exactly once, though the service may be asked twice.
 *
 *   millrace run examples/2-ask-a-service.pipeline.ts --embedded data --create-topics --dead-letters failed
 */
import { avro, seconds, text, topology } from 'millrace'

const Order = {
  type: 'record',
  name: 'Order',
  fields: [
    { name: 'customer', type: 'string' },
    { name: 'item', type: 'string' },
    { name: 'count', type: 'int' },
  ],
} as const

const Quote = {
  type: 'record',
  name: 'Quote',
  fields: [
    { name: 'item', type: 'string' },
    { name: 'cents', type: 'long' },
  ],
} as const

export default topology('price-orders', ({ stream }) => {
  stream('orders', { key: text, value: avro(Order) })
    .enrich(
      'price',
      {
        kind: 'function',
        value: avro(Quote),
        // In earnest: await fetch(url, { signal, headers: { 'idempotency-key': idempotencyKey } })
        call: async ({ value }, { signal }) => {
          signal.throwIfAborted()
          return { item: value.item, cents: value.count * 100 * value.item.length }
        },
      },
      { calls: 8, attempts: 5, attemptDeadlineMs: seconds(10), onFailure: 'dead-letter' },
    )
    .to('quotes')
})
