/** A stream that is being split: `branch` after `branch`, until `defaultBranch` or `noDefaultBranch` answers with the streams. */
import { branch, branchStart, type Branch } from '../processors/branch.ts'
import type { StreamRecord } from '../model/record.ts'
import type { Passed, StreamFacts } from './facts.ts'
import type { KStream } from './stream.ts'
import { passed, type StreamState } from './stream-state.ts'
import type { MakeStream } from './table.ts'

/** The streams of a split, by the names of the branches. */
export type Branches<K, V, F extends StreamFacts, Names extends string> = {
  readonly [Name in Names]: KStream<K, V, Passed<F>>
}

/** A split while it is declared; Names are the branches it has so far. */
export class KBranchedStream<K, V, F extends StreamFacts, Names extends string = never> {
  readonly #splitter: StreamState
  readonly #streamOf: MakeStream
  readonly #branches: readonly (Branch<K, V> & { readonly name: string })[]

  /** Made by `split`, never by an author. `splitter` is the branching node. */
  constructor(
    splitter: StreamState,
    streamOf: MakeStream,
    branches: readonly (Branch<K, V> & { readonly name: string })[] = [],
  ) {
    this.#splitter = splitter
    this.#streamOf = streamOf
    this.#branches = branches
  }

  /** The records that no branch before takes and for which `takes` answers true. The branch's node is named after the split and `name`. */
  branch<Name extends string>(
    name: Name,
    takes: (record: StreamRecord<K, V>) => boolean,
  ): KBranchedStream<K, V, F, Names | Name> {
    return this.#with(name, takes)
  }

  /** The streams, with one more of the records that no branch takes. */
  defaultBranch<Name extends string = '0'>(name?: Name): Branches<K, V, F, Names | Name> {
    return this.#with<string>(name ?? '0').noDefaultBranch()
  }

  /** The streams. Records that no branch takes end here. */
  noDefaultBranch(): Branches<K, V, F, Names> {
    const streams = this.#branches.map(
      ({ name, child }) =>
        [name, this.#streamOf<K, V, Passed<F>>(passed(this.#splitter, child))] as const,
    )
    // The names are those that were added one by one.
    return Object.freeze(Object.fromEntries(streams)) as Branches<K, V, F, Names>
  }

  #with<Name extends string>(
    name: Name,
    takes?: (record: StreamRecord<K, V>) => boolean,
  ): KBranchedStream<K, V, F, Names | Name> {
    const { draft, node } = this.#splitter
    const child = draft.naming.step('', `${node}${name}`)
    const added = { name, child, ...(takes === undefined ? {} : { takes }) }
    const branches = [...this.#branches, added]
    draft.replaceProcessor(branch(node, branches))
    draft.addProcessor({ spec: branchStart(child), parents: [node] })
    return new KBranchedStream(this.#splitter, this.#streamOf, branches)
  }
}
