/**
 * The processes of a simulated application and who starts them again. The application is split into
 * shares; each share has one process at a time, as far as its supervisor knows. One that was killed,
 * or fenced by what a dead one had sent, is started again: often where its disk is, now and then on
 * another machine, whose disk is empty or as old as its last visit. A process that stands still is
 * taken for dead: its successor starts elsewhere while it still may wake up and go on.
 */
import { told } from './told.ts'
import { sleep } from '../../model/clock.ts'
import { isMillraceError } from '../../model/errors.ts'
import type { StreamsApp } from '../../runtime/app.ts'
import type { SimulatedClock } from '../../testing/simulated-clock.ts'
import type { MemoryLog } from '../../transport/memory/memory-log.ts'
import type { Fates } from './fates.ts'
import { SimulatedProcess, type Disks, type Ending, type Stop } from './process.ts'

/** What a process of a share is told. */
export interface ShareStart {
  readonly share: number
  readonly life: number
  readonly process: SimulatedProcess
}

/** What a fleet is made of. */
export interface FleetParts {
  readonly fates: Fates
  readonly clock: SimulatedClock
  readonly log: MemoryLog
  readonly shares: number
  /** Stops planned for each share, one a life. */
  readonly stops: number
  /** Of the first process, in place of what the seed draws. */
  readonly firstStop: Stop | undefined
  readonly freezes: boolean
  /** Makes the app of a process. */
  readonly makeApp: (start: ShareStart) => StreamsApp
  /** Looks at what a process left that does not run any more. */
  readonly onEnded: (process: SimulatedProcess, disks: Disks) => Promise<void>
  readonly note: (what: string) => void
  readonly onProblem: (problem: string) => void
}

/** The first life of the first share. */
export const FIRST_PROCESS = 'app0.0'

/** How often in a row a share's process may be fenced while nothing else goes wrong. */
const MAX_FENCED = 6
/** How likely a process comes back to the machine its predecessor was on. */
const SAME_MACHINE = 0.7

const WORDS = { kill: 'be killed', freeze: 'stand still', close: 'be stopped' } as const

interface Machine {
  readonly name: string
  readonly disks: Disks
  occupant: SimulatedProcess | undefined
}

interface Share {
  readonly share: number
  readonly machines: Machine[]
  last: Machine | undefined
  process: SimulatedProcess | undefined
  /** The present process has no planned stop. */
  isSteady: boolean
  /** A frozen process has been among its processes: another may be at work beside the present one. */
  hadFrozen: boolean
}

/** All processes of one application. */
export class Fleet {
  readonly #parts: FleetParts
  readonly #shares: readonly Share[]
  readonly #processes = new Map<string, SimulatedProcess>()
  #isClosing = false

  constructor(parts: FleetParts) {
    this.#parts = parts
    this.#shares = Array.from({ length: parts.shares }, (_, share) => ({
      share,
      machines: [],
      last: undefined,
      process: undefined,
      isSteady: false,
      hadFrozen: false,
    }))
  }

  /** The process behind a connection of the log. */
  processOf(connection: string): SimulatedProcess | undefined {
    return this.#processes.get(connection)
  }

  /** Starts all shares and keeps them going. */
  start(): void {
    for (const share of this.#shares) {
      this.#keepGoing(share).catch((error: unknown) => this.#parts.onProblem(told(error)))
    }
  }

  /** Whether every planned stop is over. */
  get isSteady(): boolean {
    return this.#shares.every(({ isSteady }) => isSteady)
  }

  /** Kills what should have been dead long ago. */
  killZombies(): void {
    const current = new Set(this.#shares.map(({ process }) => process))
    for (const process of this.#processes.values()) if (!current.has(process)) process.kill()
  }

  /** Whether all that the shares' processes read was processed and committed. */
  async isCaughtUp(): Promise<boolean> {
    for (const { process } of this.#shares) {
      if (process?.app === undefined || !process.isRunning) return false
      if (!(await process.app.isCaughtUp())) return false
    }
    return true
  }

  /** Stops all processes cleanly. */
  async close(): Promise<void> {
    this.#isClosing = true
    await Promise.all(this.#shares.map(async ({ process }) => await process?.app?.close()))
  }

  /** What the machine of each share's process keeps. */
  get disks(): readonly Disks[] {
    return this.#shares.flatMap(({ machines }) => machines.map(({ disks }) => disks))
  }

  async #keepGoing(share: Share): Promise<void> {
    const { clock, fates } = this.#parts
    const random = fates.of(`app${share.share} first`)
    await sleep(clock, random.below(random.pick([1, 1_500])))
    for (let life = 0, fenced = 0; !this.#isClosing; life += 1) {
      const name = `app${share.share}.${life}`
      const stop = this.#stopOf(name, life)
      const machine = await this.#machineFor(share, name)
      const process = this.#launch({ share, life, name }, stop, machine)
      const ending = judged(await process.ended, share)
      if (ending.kind === 'frozen') share.hadFrozen = true
      await this.#settle(process, machine)
      if (ending.kind === 'stopped' && this.#isClosing) return
      if (ending.kind === 'failed') throw new Error(`${name} failed`, { cause: ending.error })
      fenced = ending.kind === 'fenced' ? fenced + 1 : 0
      if (fenced > MAX_FENCED) throw new Error(`${name} is fenced for ever`)
      this.#parts.note(`${name} is over: ${ending.kind}`)
      const random = fates.of(`${name} restart`)
      await sleep(clock, random.below(random.pick([20, 300])))
    }
  }

  #launch(
    { share, life, name }: { readonly share: Share; readonly life: number; readonly name: string },
    stop: Stop | undefined,
    machine: Machine,
  ): SimulatedProcess {
    const { clock, fates, log, note, makeApp } = this.#parts
    const process = new SimulatedProcess({
      name,
      clock,
      connection: log.connect(name),
      disks: machine.disks,
      machine: machine.name,
      random: fates.of(`${name} disk`),
      stop,
      onStop: (what) => note(`${name} ${what}`),
    })
    machine.occupant = process
    share.last = machine
    share.process = process
    share.isSteady = stop === undefined
    this.#processes.set(name, process)
    process.run(makeApp({ share: share.share, life, process }))
    return process
  }

  /** Frees the machine of a process that is over. A frozen one still sits on it. */
  async #settle(process: SimulatedProcess, machine: Machine): Promise<void> {
    if (process.isRunning) return
    process.kill()
    process.crashDisks()
    machine.occupant = undefined
    await this.#parts.onEnded(process, machine.disks)
  }

  #stopOf(name: string, life: number): Stop | undefined {
    const { fates, stops, freezes, firstStop } = this.#parts
    if (name === FIRST_PROCESS && firstStop !== undefined) return firstStop
    if (life >= stops) return undefined
    const random = fates.of(`${name} stop at`)
    const how = random.pick(
      freezes
        ? (['kill', 'kill', 'freeze', 'close'] as const)
        : (['kill', 'kill', 'close'] as const),
    )
    const afterTouches = 1 + random.below(random.pick([30, 200, 1_500]))
    const stop = {
      how,
      afterTouches,
      afterMs: random.below(3_000),
      frozenMs: random.below(random.pick([400, 4_000])),
    } as const
    const what = `is to ${WORDS[how]} before touch ${afterTouches}`
    return fates.strikes(`${name} stop`, 1, () => what) ? stop : undefined
  }

  async #machineFor(share: Share, name: string): Promise<Machine> {
    const { machines, last } = share
    for (const machine of machines) {
      const { occupant } = machine
      if (occupant?.isRunning === false) await this.#settle(occupant, machine)
    }
    const free = machines.filter(({ occupant }) => occupant === undefined)
    const random = this.#parts.fates.of(`${name} machine`)
    if (last !== undefined && free.includes(last) && random.chance(SAME_MACHINE)) return last
    const others = free.filter((machine) => machine !== last)
    if (others.length > 0 && random.chance(0.7)) return random.pick(others)
    const fresh: Machine = {
      name: `machine${share.share}.${machines.length}`,
      disks: new Map(),
      occupant: undefined,
    }
    machines.push(fresh)
    return fresh
  }
}

/** Where a frozen process woke up and took over, its successor may miss what the other has read and purged before it hears that it is fenced. */
function judged(ending: Ending, { hadFrozen }: Share): Ending {
  const isBehind =
    ending.kind === 'failed' && isMillraceError(ending.error, 'MILLRACE_OFFSET_OUT_OF_RANGE')
  return isBehind && hadFrozen ? { kind: 'fenced' } : ending
}
