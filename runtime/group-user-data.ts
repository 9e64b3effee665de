/**
 * What the members of a group tell the one that assigns, and what it tells them: one version byte,
 * then JSON. Readable in a dump, and small, since tasks are named and not described. A reader takes
 * what it knows and leaves other fields alone, so that a field may be added without a new version; a
 * version it does not know is refused, never guessed at.
 */
import { MillraceError } from '../model/errors.ts'

/** `<subtopology>_<partition>`, as `describeTask` writes it. */
export type TaskKey = string

/** A task whose state lies on a member's disk: active, standby, or left from earlier. */
export interface TaskOnDisk {
  readonly id: TaskKey
  /** Changelog records that its state is behind, over all stores; 0 where it runs or is caught up. */
  readonly lag: number
  /** Nobody has looked how far behind it is: a copy that follows is worth more, whatever the numbers say. */
  readonly isGuess?: true
}

/** What a member tells about itself at each join. */
export interface JoinData {
  /** Of the state folder: stays the same when the process comes back. */
  readonly processId: string
  /** What the member's topology looks like (topology/fingerprint.ts), whole or as a digest. */
  readonly fingerprint: string
  /** What the author calls this version of the application; '' where it has no name. */
  readonly version: string
  readonly tasks: readonly TaskOnDisk[]
  /** The process ids of the last generation that the member has seen. */
  readonly knownProcesses: readonly string[]
  /** Where its stores can be asked for, if anywhere. */
  readonly clientAddress?: string
  /** What it owns it has from a predecessor of another topology, and it runs nothing of that. */
  readonly isIdle?: true
}

/** What a member runs, for whoever wants to ask its stores. */
export interface TaskOwner {
  readonly memberId: string
  readonly processId: string
  readonly address?: string
  /** While a task is on its way from one member to another, the member that gets it. */
  readonly tasks: readonly TaskKey[]
}

/** What a member is told with its partitions. */
export interface AssignmentData {
  /** The process ids of this generation, sorted. */
  readonly processes: readonly string[]
  /** Processes that some member knew and that are not there any more, sorted: what they left open has to be ended. */
  readonly departed: readonly string[]
  /** Tasks of which this member keeps a copy. */
  readonly standbys: readonly TaskKey[]
  readonly owners: readonly TaskOwner[]
  /** Why this member gets nothing, as a sentence. */
  readonly refused?: string
  /** None in what an older process has assigned. */
  readonly madeFor?: AssignmentTerms
}

/** What an assignment was made for: who gets it later, under the same instance id, may be another. */
export interface AssignmentTerms {
  readonly memberId: string
  readonly fingerprint: string
  /** Partitions of each source topic. None, like `copies`, where who assigned has another topology and does not know. */
  readonly partitions?: ReadonlyMap<string, number>
  /** Copies of each task beside the one that runs. */
  readonly copies?: number
}

const VERSION = 1

/** The bytes that a member joins with. */
export function encodeJoinData(data: JoinData): Buffer {
  const tasks = Object.fromEntries(data.tasks.map(({ id, lag }) => [id, lag]))
  const guessed = data.tasks.filter(({ isGuess }) => isGuess).map(({ id }) => id)
  return encode({ ...data, tasks, ...(guessed.length === 0 ? {} : { guessed }) })
}

/** Reads a member's bytes; MILLRACE_GROUP_DATA_UNREADABLE where they are not of this version. */
export function decodeJoinData(bytes: Buffer, memberId: string): JoinData {
  const fields = new Fields(bytes, `what member ${memberId} joined with`)
  const clientAddress = fields.optionalText('clientAddress')
  const guessed = new Set(fields.has('guessed') ? fields.texts('guessed') : [])
  return {
    processId: fields.text('processId'),
    fingerprint: fields.text('fingerprint'),
    version: fields.text('version'),
    tasks: fields
      .numbers('tasks')
      .map(([id, lag]) => (guessed.has(id) ? { id, lag, isGuess: true } : { id, lag })),
    knownProcesses: fields.texts('knownProcesses'),
    ...(clientAddress === undefined ? {} : { clientAddress }),
    ...(fields.has('isIdle') ? { isIdle: true } : {}),
  }
}

/** The bytes that a member is assigned with. */
export function encodeAssignmentData(data: AssignmentData): Buffer {
  const { madeFor } = data
  if (madeFor === undefined) return encode(data)
  const { partitions, ...terms } = madeFor
  const counts = partitions === undefined ? {} : { partitions: Object.fromEntries(partitions) }
  return encode({ ...data, madeFor: { ...terms, ...counts } })
}

/** Reads an assignment's bytes; MILLRACE_GROUP_DATA_UNREADABLE where they are not of this version. */
export function decodeAssignmentData(bytes: Buffer): AssignmentData {
  const fields = new Fields(bytes, "what came with the group's assignment")
  const refused = fields.optionalText('refused')
  return {
    processes: fields.texts('processes'),
    departed: fields.texts('departed'),
    standbys: fields.texts('standbys'),
    owners: fields.parts('owners').map((owner) => {
      const address = owner.optionalText('address')
      return {
        memberId: owner.text('memberId'),
        processId: owner.text('processId'),
        tasks: owner.texts('tasks'),
        ...(address === undefined ? {} : { address }),
      }
    }),
    ...(refused === undefined ? {} : { refused }),
    ...(fields.has('madeFor') ? { madeFor: readTerms(fields.part('madeFor')) } : {}),
  }
}

function readTerms(fields: Fields): AssignmentTerms {
  return {
    memberId: fields.text('memberId'),
    fingerprint: fields.text('fingerprint'),
    ...(fields.has('partitions') ? { partitions: new Map(fields.numbers('partitions')) } : {}),
    ...(fields.has('copies') ? { copies: fields.number('copies') } : {}),
  }
}

function encode(data: object): Buffer {
  return Buffer.concat([Buffer.of(VERSION), Buffer.from(JSON.stringify(data), 'utf8')])
}

/** An object that came from another process, read field by field. */
class Fields {
  readonly #what: string
  readonly #values: ReadonlyMap<string, unknown>

  constructor(from: unknown, what: string) {
    this.#what = what
    const value = Buffer.isBuffer(from) ? this.#parse(from) : from
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw this.#unreadable('it is no object')
    }
    this.#values = new Map<string, unknown>(Object.entries(value))
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  text(name: string): string {
    const value = this.#values.get(name)
    if (typeof value === 'string') return value
    throw this.#unreadable(`${name} is no text`)
  }

  optionalText(name: string): string | undefined {
    return this.has(name) ? this.text(name) : undefined
  }

  texts(name: string): readonly string[] {
    const values = this.#list(name)
    if (values.every((value) => typeof value === 'string')) return values
    throw this.#unreadable(`${name} is no list of texts`)
  }

  part(name: string): Fields {
    return new Fields(this.#values.get(name), this.#what)
  }

  parts(name: string): readonly Fields[] {
    return this.#list(name).map((value) => new Fields(value, this.#what))
  }

  /** A number from 0. */
  number(name: string): number {
    const value = this.#values.get(name)
    if (typeof value === 'number' && value >= 0) return value
    throw this.#unreadable(`${name} is no number from 0`)
  }

  /** An object of numbers from 0, by name. */
  numbers(name: string): readonly (readonly [string, number])[] {
    const entries = [...this.part(name).#values]
    return entries.map(([id, value]) => {
      if (typeof value === 'number' && value >= 0) return [id, value]
      throw this.#unreadable(`${name}.${id} is no number from 0`)
    })
  }

  #list(name: string): readonly unknown[] {
    const value = this.#values.get(name)
    if (Array.isArray(value)) return value
    throw this.#unreadable(`${name} is no list`)
  }

  #parse(bytes: Buffer): unknown {
    if (bytes[0] !== VERSION) throw this.#unreadable(`it has version ${bytes[0] ?? 'none'}`)
    try {
      return JSON.parse(bytes.toString('utf8', 1))
    } catch {
      throw this.#unreadable('it is damaged')
    }
  }

  #unreadable(because: string): MillraceError {
    return new MillraceError(
      'MILLRACE_GROUP_DATA_UNREADABLE',
      `${this.#what} cannot be read (${because}): another program, or a newer millrace, is in the group. ` +
        'Run the same version in all processes, or give this application an id of its own.',
    )
  }
}
