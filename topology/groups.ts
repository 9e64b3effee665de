/** Disjoint sets of names: which names belong together, by way of others. */
export class Groups {
  readonly #parents = new Map<string, string>()

  /** The name that stands for the set of `name`. */
  rootOf(name: string): string {
    let root = name
    for (let up = this.#parents.get(root); up !== undefined; up = this.#parents.get(root)) root = up
    return root
  }

  /** Puts the sets of two names together. */
  unite(a: string, b: string): void {
    const [rootA, rootB] = [this.rootOf(a), this.rootOf(b)]
    if (rootA !== rootB) this.#parents.set(rootA, rootB)
  }
}
