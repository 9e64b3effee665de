/**
 * How many tasks of each sub-topology each member gets. Two rules hold at once: over all tasks, and
 * within each sub-topology, no member has two more than another. Both can always be kept, since
 * dealing the tasks out like cards, one sub-topology after the other, keeps them. What is left open
 * is who gets one of the rests, and there the members' wishes decide.
 *
 * That is a flow of rests through a table of sub-topologies and members, at most one a cell; the
 * best one is found by successive shortest paths (Bellman-Ford, since a granted wish has a negative
 * cost). The table is small: cells, not tasks. Rejected: giving tasks out one by one and repairing
 * what comes out uneven, which moves more tasks than it has to, and is harder to trust.
 */

/** The table: a row a sub-topology, a column a member. */
export interface ShareRequest {
  /** How many tasks each sub-topology has. */
  readonly sizes: readonly number[]
  readonly members: number
  /** How much is gained if this member gets one more than `floor(size / members)` of this sub-topology, a whole number from 0. */
  readonly gain: (row: number, member: number) => number
}

/** The number of tasks by sub-topology and member. The sum of the gains is the largest that the two rules allow. */
export function sharesOf({ sizes, members, gain }: ShareRequest): readonly (readonly number[])[] {
  if (members === 0) return sizes.map(() => [])
  const gains = sizes.map((_, row) => Array.from({ length: members }, (__, i) => gain(row, i)))
  const rests = sizes.map((size) => size % members)
  const table = new RestTable(gains, rests)
  for (const [row, rest] of rests.entries()) for (let i = 0; i < rest; i += 1) table.place(row)
  return gains.map((cells, row) => {
    const floor = Math.floor((sizes[row] ?? 0) / members)
    return cells.map((_, member) => floor + (table.has(row, member) ? 1 : 0))
  })
}

/** Who has a rest of which row. */
class RestTable {
  readonly #gains: readonly (readonly number[])[]
  readonly #cells: boolean[][]
  readonly #perMember: number[]
  /** What every member has in the end, and some have one more. */
  readonly #floor: number
  /** Dearer than all gains together: nobody has one more while another has one less. */
  readonly #penalty: number

  constructor(gains: readonly (readonly number[])[], rests: readonly number[]) {
    this.#gains = gains
    this.#cells = gains.map((row) => row.map(() => false))
    this.#perMember = gains[0]?.map(() => 0) ?? []
    const total = rests.reduce((sum, rest) => sum + rest, 0)
    this.#floor = Math.floor(total / Math.max(1, this.#perMember.length))
    this.#penalty = gains.flat().reduce((sum, one) => sum + one, 0) + 1
  }

  has(row: number, member: number): boolean {
    return this.#cells[row]?.[member] ?? false
  }

  /** Gives one rest of a row to a member, moving others along the cheapest chain. */
  place(row: number): void {
    const { costs, cameFrom } = this.#cheapestChains(row)
    let best: number | undefined
    let bestCost = Infinity
    for (const [member, cost] of costs.entries()) {
      const total = cost + this.#endCost(member)
      if (total < bestCost) {
        best = member
        bestCost = total
      }
    }
    if (best === undefined) throw new TypeError('no member has room for a task')
    this.#perMember[best] = (this.#perMember[best] ?? 0) + 1
    for (let member: number | undefined = best; member !== undefined;) {
      const step: Step = cameFrom[member] as Step
      this.#set(step.row, member, true)
      if (step.member !== undefined) this.#set(step.row, step.member, false)
      member = step.member
    }
  }

  /** The cost of bringing one more rest of `row` to each member, and its last step: the member takes it of `row` from the member before, which takes another's. */
  #cheapestChains(row: number): {
    readonly costs: readonly number[]
    readonly cameFrom: readonly (Step | undefined)[]
  } {
    const costs = this.#perMember.map(() => Infinity)
    const cameFrom: (Step | undefined)[] = costs.map(() => undefined)
    const rowCosts = this.#cells.map(() => Infinity)
    /** Members whose cost fell since what they have was last passed on, in the order in which it did. */
    const waiting = new Set<number>()
    const relax = (cost: number, step: Step): void => {
      if (cost >= (rowCosts[step.row] ?? Infinity)) return
      rowCosts[step.row] = cost
      for (const [member, before] of costs.entries()) {
        const here = cost - this.#gain(step.row, member)
        if (here >= before || this.has(step.row, member)) continue
        costs[member] = here
        cameFrom[member] = step
        waiting.add(member)
      }
    }
    relax(0, { row, member: undefined })
    for (const member of waiting) {
      waiting.delete(member)
      for (const held of this.#cells.keys()) {
        if (!this.has(held, member)) continue
        relax((costs[member] ?? Infinity) + this.#gain(held, member), { row: held, member })
      }
    }
    return { costs, cameFrom }
  }

  #endCost(member: number): number {
    const has = this.#perMember[member] ?? 0
    if (has < this.#floor) return 0
    return has === this.#floor ? this.#penalty : Infinity
  }

  #gain(row: number, member: number): number {
    return this.#gains[row]?.[member] ?? 0
  }

  #set(row: number, member: number, has: boolean): void {
    const cells = this.#cells[row]
    if (cells !== undefined) cells[member] = has
  }
}

/** A rest of `row` comes from `member`, or from nowhere. */
interface Step {
  readonly row: number
  readonly member: number | undefined
}
