/**
 * Makes an application forget what it did: Kafka Streams' application reset tool, with its state on
 * this machine. First a plan, which is shown and changes nothing; then its steps.
 *
 * The order of the steps is the proof. What could still commit for the application is fenced before
 * its offsets go, and they go before changelogs and state, so that an application which is started
 * half-way finds state without offsets and refuses (MILLRACE_OFFSETS_LOST); new offsets come last, for
 * with them over old state it would count everything twice. Each step can be done again: after a
 * crash one plans anew, from what is there, and goes on. Only if the last step is missing has nobody
 * a trace of it: the application then starts at the beginning.
 */
import { MillraceError } from '../model/errors.ts'
import { asPartition, type Offset, type Topic, type TopicPartition } from '../model/position.ts'
import { changelogTopic } from '../state/changelog.ts'
import { UnitFolders } from '../state/unit-folders.ts'
import { forApplication } from '../topology/application.ts'
import { hasOwnChangelog, type Topology } from '../topology/graph.ts'
import type { CommittedOffset, Transport } from '../transport/transport.ts'
import { offsetAtTime } from './offset-at-time.ts'
import { decodeOffsetMetadata, encodeOffsetMetadata } from './offset-metadata.ts'

/** Where an application begins after a reset: at a time means at the first record of that timestamp or a later one. */
export type ResetTarget =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'latest' }
  | { readonly kind: 'time'; readonly timestampMs: number }

/** What is to be reset. */
export interface ResetRequest {
  readonly topology: Topology
  /** Default: the topology's name. */
  readonly application?: string
  readonly transport: Transport
  /** The folder that holds state, by application. */
  readonly stateDir: string
  readonly to: ResetTarget
  /** Also deletes topics that have names as of this application's, but that the topology does not use. Another application whose name begins alike may own them. */
  readonly oldTopics?: boolean
  readonly signal?: AbortSignal
}

/** What a reset would do. */
export interface ResetPlan {
  readonly application: string
  readonly target: ResetTarget
  /** Every partition of the sources: where it is read up to, and where it will begin. */
  readonly inputs: readonly ResetInput[]
  /** Transactional ids that committed for the application. */
  readonly writers: readonly string[]
  /** Changelogs and repartition topics that are deleted. */
  readonly topics: readonly Topic[]
  /** Topics that might be the application's, and stay. */
  readonly left: readonly Topic[]
  /** Folders of state that are deleted. */
  readonly folders: readonly string[]
  /** Topics that the application wrote for others: they stay, and get everything again. */
  readonly outputs: readonly Topic[]
}

/** One input of the application. */
export interface ResetInput extends TopicPartition {
  readonly from: Offset | undefined
  readonly to: Offset
}

/**
 * What a reset would do; changes nothing. Rejects with MILLRACE_GROUP_HAS_MEMBERS or
 * MILLRACE_STATE_IN_USE where the application runs, and with MILLRACE_OFFSETS_PENDING where a
 * transaction of it is open.
 */
export async function planReset(request: ResetRequest): Promise<ResetPlan> {
  const { transport, to, stateDir, oldTopics = false } = request
  const application = request.application ?? request.topology.name
  const topology = forApplication(request.topology, application)
  await refuseMembers(transport, application)
  await using state = await UnitFolders.lock(stateDir, application)
  const all = await transport.admin.describeTopics()
  const there = new Map(all.map(({ topic, partitions }) => [topic, partitions]))
  const own = ownTopics(topology, application)
  const sources = topology.subtopologies
    .flatMap(({ sourceTopics }) => sourceTopics)
    .flatMap((topic) => partitionsOf(topic, there.get(topic) ?? 0))
  const committed = await transport.admin.committedOffsets(application, sources)
  const inputs = sources
    .map((at, i) => ({ ...at, from: committed[i]?.offset }))
    .filter(({ topic }) => !own.has(topic))
  const starts = await startsOf(inputs, request)
  const alike = [...there.keys()].filter((topic) => isAlike(topic, application) && !own.has(topic))
  const outputs = new Set(
    topology.nodes.flatMap((node) => (node.kind === 'sink' ? [node.topic] : [])),
  )
  return {
    application,
    target: to,
    inputs: inputs.map((input, i) => ({ ...input, to: starts[i] as Offset })),
    writers: writersOf(committed),
    topics: [...[...own].filter((topic) => there.has(topic)), ...(oldTopics ? alike : [])].sort(),
    left: oldTopics ? [] : alike.sort(),
    folders: state.paths,
    outputs: [...outputs.difference(own)].sort(),
  }
}

/** Whether there is anything to forget. */
export function isNothing({ target, inputs, topics, folders }: ResetPlan): boolean {
  const isRead = inputs.some(({ from }) => from !== undefined)
  return !isRead && topics.length === 0 && folders.length === 0 && target.kind === 'earliest'
}

/** What the steps of a reset work on. */
export interface ResetRound {
  readonly plan: ResetPlan
  readonly transport: Transport
  readonly state: UnitFolders
}

/** One step of a reset. */
export interface ResetStep {
  readonly name: string
  run(round: ResetRound): Promise<void>
}

/** Whoever committed for the application can do so no more; what they left open is over. */
export const fenceWriters: ResetStep = {
  name: 'fenceWriters',
  run: async ({ plan, transport }) => {
    for (const transactionalId of plan.writers) {
      await using producer = transport.openProducer({ transactionalId })
      await producer.init()
    }
  },
}

/** From here until the end a start is refused where it would find state. */
export const forgetOffsets: ResetStep = {
  name: 'forgetOffsets',
  run: async ({ plan, transport }) => await transport.admin.deleteGroup(plan.application),
}

/** Deletes changelogs and repartition topics. */
export const deleteTopics: ResetStep = {
  name: 'deleteTopics',
  run: async ({ plan, transport }) => {
    const there = await transport.admin.describeTopics(plan.topics)
    await transport.admin.deleteTopics(there.map(({ topic }) => topic))
  },
}

/** Deletes the folders of state. */
export const deleteState: ResetStep = {
  name: 'deleteState',
  run: async ({ state }) => await state.remove(),
}

/** Commits where to begin, where that is not the beginning. */
export const commitStarts: ResetStep = {
  name: 'commitStarts',
  run: async ({ plan, transport }) => {
    const { inputs, target, application } = plan
    if (target.kind === 'earliest' || inputs.length === 0) return
    const metadata = encodeOffsetMetadata({ partitionTime: -1, writer: undefined })
    const offsets = inputs.map(({ topic, partition, to }) => {
      return { topic, partition, offset: to, metadata }
    })
    await transport.admin.commitOffsets(application, offsets)
  },
}

/** The order of every reset. */
export const RESET: readonly ResetStep[] = [
  fenceWriters,
  forgetOffsets,
  deleteTopics,
  deleteState,
  commitStarts,
]

/** Carries out a plan. Rejects as `planReset` does where the application was started meanwhile. `steps` is for tests that stop half-way. */
export async function applyReset(
  plan: ResetPlan,
  { transport, stateDir }: Pick<ResetRequest, 'transport' | 'stateDir'>,
  steps: readonly ResetStep[] = RESET,
): Promise<void> {
  await refuseMembers(transport, plan.application)
  await using state = await UnitFolders.lock(stateDir, plan.application)
  for (const step of steps) await step.run({ plan, transport, state })
}

async function refuseMembers({ admin }: Transport, application: string): Promise<void> {
  const members = await admin.describeGroup(application)
  if (members.length === 0) return
  throw new MillraceError(
    'MILLRACE_GROUP_HAS_MEMBERS',
    `the group ${application} has ${members.length} members: processes of the application run. ` +
      'Stop them and reset then; one that was killed leaves the group when its session times out.',
    { place: application },
  )
}

function ownTopics(topology: Topology, application: string): ReadonlySet<Topic> {
  const repartitions = topology.repartitions.map(({ topic }) => topic)
  const changelogs = topology.stores
    .filter(hasOwnChangelog)
    .map(({ spec }) => changelogTopic(application, spec.name))
  return new Set([...repartitions, ...changelogs])
}

function isAlike(topic: Topic, application: string): boolean {
  return topic.startsWith(`${application}-`) && /-(changelog|repartition)$/.test(topic)
}

function partitionsOf(topic: Topic, count: number): readonly TopicPartition[] {
  return Array.from({ length: count }, (_, n) => ({ topic, partition: asPartition(n) }))
}

function writersOf(committed: readonly (CommittedOffset | undefined)[]): readonly string[] {
  const writers = new Set<string>()
  for (const offset of committed) {
    const writer = offset === undefined ? undefined : decodeOffsetMetadata(offset.metadata).writer
    if (writer !== undefined) writers.add(writer.transactionalId)
  }
  return [...writers].sort()
}

async function startsOf(
  inputs: readonly TopicPartition[],
  { transport, to, signal }: ResetRequest,
): Promise<readonly Offset[]> {
  if (to.kind !== 'time') return await transport.admin.offsets(inputs, to.kind, 'read_committed')
  const starts: Offset[] = []
  for (const at of inputs) starts.push(await offsetAtTime(transport, { at, ...to, signal }))
  return starts
}
