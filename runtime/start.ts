/**
 * How tasks come to run, as an ordered list of steps, kept as data like those of a commit: all tasks
 * of a static unit at once, those of a group as they are assigned, while the others go on.
 * The order is the proof: init fences the predecessor and ends its transaction, so the offsets read
 * after it are final; the changelog ends are read after that, uncommitted, so that everything ever
 * committed lies before them; and the offsets to start from are committed before the first record,
 * so that state without offsets is always an error and never a silent reset.
 *
 * Nothing runs yet, so whoever stops a start loses nothing: no question is waited for once the
 * signal has aborted, for a log that is away may answer none of them.
 */
import { sleep, type Clock } from '../model/clock.ts'
import { isMillraceError, MillraceError } from '../model/errors.ts'
import {
  describePartition,
  describePosition,
  type Topic,
  type TopicPartition,
} from '../model/position.ts'
import { untilAborted } from '../model/until-aborted.ts'
import type { CommittedOffset, Isolation, LogEnd, Transport } from '../transport/transport.ts'
import type { OffsetWriter } from './assignment.ts'
import type { Guarantee, StreamsLimits } from './config.ts'
import { decodeOffsetMetadata, encodeOffsetMetadata } from './offset-metadata.ts'
import type { StartOffset } from './unit-task.ts'

/** What a start needs of its unit. */
export interface StartRound {
  readonly transport: Transport
  readonly guarantee: Guarantee
  readonly groupId: string
  readonly topicIdOf: (topic: Topic) => string
  readonly writer: OffsetWriter
  /** Whether offsets of the other mode are taken over. */
  readonly adopt: boolean
  /** Transactional ids of processes that have left the group: their heirs end what they left open. */
  readonly departed: readonly string[]
  readonly onFenced: (transactionalIds: readonly string[]) => void
  /** Whether a process that lives writes under this id: what it gives up it commits, or aborts, itself. */
  readonly isAlive: (transactionalId: string) => boolean
  /** Fences the predecessor of the unit's producer; once in each run of a unit. */
  readonly initProducer: () => Promise<void>
  /** Commits offsets of tasks that are about to begin. */
  readonly commitStarts: (offsets: readonly CommittedOffset[]) => Promise<void>
  readonly tasks: readonly StartingTask[]
  readonly clock: Clock
  readonly limits: StreamsLimits
  readonly signal: AbortSignal
  readonly progress: StartProgress
}

/** What the steps of one start hand to each other. */
export interface StartProgress {
  /** In the order of the tasks' inputs. */
  committed: readonly (CommittedOffset | undefined)[]
  starts: readonly StartOffset[]
}

/** A task as a start sees it. */
export interface StartingTask {
  readonly id: string
  readonly inputs: readonly TopicPartition[]
  /** Its own changelogs. */
  readonly changelogs: readonly TopicPartition[]
  /** Whether its database holds state of an earlier run. */
  readonly hasState: boolean
  /** Brings the stores up to the ends of their changelogs, or to the committed offsets of the source topics they mirror. */
  restore(request: {
    readonly starts: readonly StartOffset[]
    /** Which end of the changelogs: only the read_uncommitted one has all that was ever committed before it. */
    readonly end: Isolation
    readonly signal: AbortSignal
  }): Promise<void>
}

/** One step of a start. */
export interface StartStep {
  readonly name: string
  run(round: StartRound): Promise<void>
}

/** A unit that is told its share must not meet a group that agrees on its own. */
export const refuseMembers: StartStep = {
  name: 'refuseMembers',
  run: async ({ transport, groupId, writer, signal }) => {
    if (writer.mode === 'group') return
    const members = await untilAborted(transport.admin.describeGroup(groupId), signal)
    if (members.length === 0) return
    throw new MillraceError(
      'MILLRACE_GROUP_HAS_MEMBERS',
      `the group ${groupId} has ${members.length} member(s), and this app was told its partitions. ` +
        'Stop those processes, start this one as a member too, or give it an application name of its own.',
    )
  },
}

/** Fences the predecessor; its open transaction is over when this returns. */
export const initProducer: StartStep = {
  name: 'initProducer',
  run: async (round) => await round.initProducer(),
}

/** Ends the transactions of processes that are gone, so that their offsets need not be waited for. */
export const fenceDeparted: StartStep = {
  name: 'fenceDeparted',
  run: async (round) => {
    if (round.guarantee !== 'exactly-once') return
    await fence(round.departed, round)
    round.onFenced(round.departed)
  },
}

/** Reads the committed offsets, waiting for those of a transaction that is still open. */
export const readOffsets: StartStep = {
  name: 'readOffsets',
  run: async (round) => {
    round.progress.committed = await stableOffsets(round)
  },
}

/**
 * Offsets written under another id or mode: init that id, so that whoever holds it is fenced and its
 * open transaction is over, then read again.
 */
export const fenceForeignWriters: StartStep = {
  name: 'fenceForeignWriters',
  run: async (round) => {
    const foreign = new Set<string>()
    for (const offset of round.progress.committed) {
      const writer = offset === undefined ? undefined : decodeOffsetMetadata(offset.metadata).writer
      if (writer === undefined || writer.transactionalId === round.writer.transactionalId) continue
      if (writer.mode !== round.writer.mode && !round.adopt) throw otherMode(round, writer)
      if (!round.isAlive(writer.transactionalId)) foreign.add(writer.transactionalId)
    }
    if (foreign.size === 0 || round.guarantee !== 'exactly-once') return
    await fence([...foreign], round)
    round.progress.committed = await stableOffsets(round)
  },
}

/**
 * Where each input begins: its committed offset, or the log's start where there is neither offset nor
 * state. What seems lost is looked at a second time before it is refused: another process that holds
 * the same tasks, or held them until now, may have moved on between two of the questions.
 */
export const resolveStarts: StartStep = {
  name: 'resolveStarts',
  run: async (round) => {
    const inputs = round.tasks.flatMap(({ inputs: own }) => own)
    const { transport, signal } = round
    const earliest = await untilAborted(
      transport.admin.offsets(inputs, 'earliest', 'read_committed'),
      signal,
    )
    for (const task of round.tasks) await refuseLostOffsets(task, round)
    await refuseLostRecords(inputs, round)
    round.progress.starts = inputs.map((at, i) => {
      const committed = round.progress.committed[i]
      if (committed === undefined) {
        return { ...at, offset: earliest[i] ?? missing(at), partitionTime: -1 }
      }
      const { partitionTime } = decodeOffsetMetadata(committed.metadata)
      return { ...at, offset: committed.offset, partitionTime }
    })
  },
}

/** Replays what the changelogs have beyond the databases. */
export const restoreStores: StartStep = {
  name: 'restoreStores',
  run: async ({ tasks, progress, signal }) => {
    for (const task of tasks) {
      await task.restore({ starts: progress.starts, end: 'read_uncommitted', signal })
    }
  },
}

/** Commits the offsets to start from where none were committed. */
export const commitStarts: StartStep = {
  name: 'commitStarts',
  run: async ({ progress, writer, topicIdOf, commitStarts: commit }) => {
    const first = progress.starts.filter((_, i) => progress.committed[i] === undefined)
    if (first.length === 0) return
    await commit(
      first.map(({ topic, partition, offset, partitionTime }) => ({
        topic,
        partition,
        offset,
        metadata: encodeOffsetMetadata({ partitionTime, writer, topicId: topicIdOf(topic) }),
      })),
    )
  },
}

/** The order in which tasks start. */
export const START: readonly StartStep[] = [
  refuseMembers,
  initProducer,
  fenceDeparted,
  readOffsets,
  fenceForeignWriters,
  resolveStarts,
  restoreStores,
  commitStarts,
]

async function fence(transactionalIds: readonly string[], round: StartRound): Promise<void> {
  for (const transactionalId of transactionalIds) {
    round.signal.throwIfAborted()
    await using producer = round.transport.openProducer({ transactionalId })
    await untilAborted(producer.init(), round.signal)
  }
}

async function stableOffsets(round: StartRound): Promise<readonly (CommittedOffset | undefined)[]> {
  const { transport, groupId, tasks, clock, limits, signal } = round
  const inputs = tasks.flatMap((task) => task.inputs)
  const deadline = clock.monotonic() + limits.offsetsPendingMs
  for (let delayMs = 5; ; delayMs = Math.min(delayMs * 2, 500)) {
    try {
      const asked = transport.admin.committedOffsets(groupId, inputs)
      return (await untilAborted(asked, signal)).map((offset) => ofItsTopic(offset, round))
    } catch (error) {
      const pending = isMillraceError(error, 'MILLRACE_OFFSETS_PENDING')
      if (!pending || clock.monotonic() >= deadline) throw error
      await sleep(clock, delayMs, signal)
    }
  }
}

/**
 * An offset; none where it is one of an earlier topic of the same name. Kafka forgets offsets with their
 * topic, but a commit may come in between, by an app that has not noticed yet.
 */
function ofItsTopic(
  offset: CommittedOffset | undefined,
  { topicIdOf }: StartRound,
): CommittedOffset | undefined {
  if (offset === undefined) return undefined
  const { topicId } = decodeOffsetMetadata(offset.metadata)
  return topicId === undefined || topicId === topicIdOf(offset.topic) ? offset : undefined
}

async function refuseLostOffsets(task: StartingTask, round: StartRound): Promise<void> {
  if (hasOffsets(task, round)) return
  const trace = await traceOfState(task, round)
  if (trace === undefined) return
  // Whoever else holds the transactional id may have begun since the offsets were read. Then nothing
  // is lost: this start is the one that is fenced, and its first transaction says so.
  round.progress.committed = await stableOffsets(round)
  if (hasOffsets(task, round)) return
  throw new MillraceError(
    'MILLRACE_OFFSETS_LOST',
    `task ${task.id} has state (${trace}) but the group ${round.groupId} has no committed offsets for it: ` +
      'they expired or were deleted. Starting at the beginning would count everything twice. ' +
      'To start anew, run `millrace reset`; to go on, commit for the group where each input is to begin.',
    { place: trace },
  )
}

/** Throws where an input is to go on at an offset that its topic does not have, which no further try would mend. */
async function refuseLostRecords(
  inputs: readonly TopicPartition[],
  round: StartRound,
): Promise<void> {
  if ((await firstOutside(inputs, round)) === undefined) return
  round.progress.committed = await stableOffsets(round)
  const outside = await firstOutside(inputs, round)
  if (outside === undefined) return
  const { place, offset, start, end } = outside
  const cause =
    offset < start
      ? `The records from ${offset} to ${start - 1} were removed, by retention (retention.ms, retention.bytes) or by hand, before they were processed`
      : 'The log is shorter than what was processed'
  throw new MillraceError(
    'MILLRACE_OFFSET_OUT_OF_RANGE',
    `the group ${round.groupId} goes on at ${place}, which is outside the log: that goes from ${start} to ${end}. ` +
      `${cause}: choose where to go on, and commit that offset.`,
    { place },
  )
}

/** The first committed offset that its topic does not have. */
async function firstOutside(
  inputs: readonly TopicPartition[],
  { transport, progress, signal }: StartRound,
) {
  const [starts, ends] = await bothEnds(inputs, { transport, signal })
  for (const [i, at] of inputs.entries()) {
    const offset = progress.committed[i]?.offset
    const [start, end] = [starts[i], ends[i]]
    if (offset === undefined || start === undefined || end === undefined) continue
    if (offset >= start && offset <= end) continue
    return { place: describePosition({ ...at, offset }), offset, start, end }
  }
  return undefined
}

function hasOffsets(task: StartingTask, { progress, tasks }: StartRound): boolean {
  const before = tasks.slice(0, tasks.indexOf(task)).reduce((n, { inputs }) => n + inputs.length, 0)
  const own = progress.committed.slice(before, before + task.inputs.length)
  return own.some((offset) => offset !== undefined)
}

/** Where a task has left state: a changelog that was written to, or its folder. */
async function traceOfState(task: StartingTask, round: StartRound): Promise<string | undefined> {
  const [earliest, latest] = await bothEnds(task.changelogs, round)
  const written = task.changelogs.find((_, i) => (latest[i] ?? 0) > (earliest[i] ?? 0))
  if (written !== undefined) return describePartition(written)
  return task.hasState ? 'its state folder' : undefined
}

/** The first offsets and the ends of partitions, in the order asked. */
async function bothEnds(
  partitions: readonly TopicPartition[],
  { transport, signal }: Pick<StartRound, 'transport' | 'signal'>,
) {
  const { admin } = transport
  const ask = async (end: LogEnd) =>
    await untilAborted(admin.offsets(partitions, end, 'read_uncommitted'), signal)
  return [await ask('earliest'), await ask('latest')] as const
}

function otherMode(round: StartRound, writer: OffsetWriter): MillraceError {
  return new MillraceError(
    'MILLRACE_OTHER_MODE',
    `the offsets of group ${round.groupId} were committed in ${writer.mode} mode (${writer.transactionalId}), ` +
      `and this app starts in ${round.writer.mode} mode. Start it in the mode it ran in, or stop all of its processes and start with \`adopt\`.`,
  )
}

function missing(at: { readonly topic: Topic; readonly partition: number }): never {
  throw new TypeError(`the log gave no first offset for ${at.topic}[${at.partition}]`)
}
