/** Brokers that answer where they were named, and tell their clients to go elsewhere. */
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../../runtime/system-clock.ts'
import { METADATA } from '../../../transport/kafka/api/metadata.ts'
import { describeAddress, type Address } from '../../../transport/kafka/kafka-errors.ts'
import { openKafka } from '../../../transport/kafka/open.ts'
import type { Transport } from '../../../transport/transport.ts'
import { answer, bodyOf, FakeBroker } from './fake-broker.ts'

/** The order in which addresses are named is that in which they are tried. */
const clock = { ...systemClock(), random: () => 0 }

/** A broker that says of its cluster what `advertised` says, or of itself where that says nothing. */
async function broker(advertised: () => readonly Address[] | undefined): Promise<FakeBroker> {
  const made = await FakeBroker.start((request) => {
    if (request.key !== METADATA.key) return
    const body = bodyOf((to) => {
      to.int32(0)
      to.array(advertised() ?? [made.address], ({ host, port }) =>
        to.int32(port).string(host).int32(port).nullableString(null).tags(),
      )
      to.nullableString('cluster').int32(1)
      to.array([], () => to)
      to.tags()
    })
    answer(request, body)
  })
  onTestFinished(() => made[Symbol.asyncDispose]())
  return made
}

async function gone(): Promise<Address> {
  const none = await FakeBroker.raw(() => {})
  await none[Symbol.asyncDispose]()
  return none.address
}

async function silent(): Promise<Address> {
  const mute = await FakeBroker.raw((socket) => void socket.resume())
  onTestFinished(() => mute[Symbol.asyncDispose]())
  return mute.address
}

async function open({ address }: FakeBroker, openDeadlineMs = 10_000): Promise<Transport> {
  const brokers = describeAddress(address)
  const limits = { openDeadlineMs, nextAddressAfterMs: 20 }
  const log = await openKafka({ brokers, clock, limits })
  onTestFinished(() => log[Symbol.asyncDispose]())
  return log
}

test.each([
  ['refuse', gone, 'nothing listens there'],
  ['say nothing', silent, 'no connection within'],
] as const)(
  'addresses that %s are named with their setting, at the deadline',
  async (_, wrong, why) => {
    const addresses = [await wrong(), await wrong()]
    const asked = await broker(() => addresses)
    const error = await open(asked, 300).then(
      () => new Error('it is open'),
      (thrown: unknown) => thrown as Error,
    )
    expect(error).toMatchObject({ code: 'MILLRACE_KAFKA_UNREACHABLE', kind: 'retriable' })
    expect(error.message).toContain(`The cluster answers at ${describeAddress(asked.address)}`)
    for (const address of addresses) {
      const reason = `Broker ${describeAddress(address)} cannot be reached: ${why}`
      expect(error.message).toContain(reason)
    }
    expect(error.message).toMatch(/Set advertised\.listeners of the brokers/)
  },
)

test('one address that answers is enough', async () => {
  const other = await broker(() => undefined)
  const addresses = [await gone(), await silent(), other.address]
  await open(await broker(() => addresses))
  expect(other.connections).toBe(1)
})

test('addresses that are wrong for a moment are looked up again', async () => {
  const other = await broker(() => undefined)
  const addresses = [[await gone()], [await gone()], [other.address]]
  await open(await broker(() => (addresses.length > 1 ? addresses.shift() : addresses[0])))
  expect(other.connections).toBe(1)
})

test('a broker that is where it was named is not connected to twice', async () => {
  const asked = await broker(() => undefined)
  await open(asked)
  expect(asked.connections).toBe(1)
})
