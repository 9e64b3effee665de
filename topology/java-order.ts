/**
 * The orders in which Java's collections hand out their elements. Kafka Streams describes a topology
 * by walking hash maps, and sorts by a size that changes while it sorts; its text is an interface that
 * tools compare, so the order is part of it. Sources: java.util.HashMap and java.util.TreeMap of
 * OpenJDK 17. Left out: a bucket of eight or more colliding names, which Java makes a tree of.
 */

const DEFAULT_CAPACITY = 16
const LOAD_FACTOR = 0.75

/** The distinct `names` in the order of a HashSet, or of the keys of a HashMap, to which they are added one by one. */
export function hashOrder(names: Iterable<string>): readonly string[] {
  const distinct = [...new Set(names)]
  let capacity = DEFAULT_CAPACITY
  while (distinct.length > capacity * LOAD_FACTOR) capacity *= 2
  return byBucket(distinct, capacity)
}

/** The distinct `names` in the order of `new HashSet<>(collection)`, which makes room before it adds. */
export function copiedHashOrder(names: Iterable<string>): readonly string[] {
  const distinct = [...new Set(names)]
  let capacity = DEFAULT_CAPACITY
  while (Math.floor(distinct.length / LOAD_FACTOR) + 1 > capacity) capacity *= 2
  return byBucket(distinct, capacity)
}

function byBucket(distinct: string[], capacity: number): readonly string[] {
  // A bucket keeps the order of insertion, also when the table grows; and so does this sort.
  const bucketOf = (name: string): number => spread(javaHash(name)) & (capacity - 1)
  return distinct.sort((a, b) => bucketOf(a) - bucketOf(b))
}

function javaHash(name: string): number {
  let hash = 0
  for (let at = 0; at < name.length; at += 1) hash = (Math.imul(hash, 31) + name.charCodeAt(at)) | 0
  return hash
}

function spread(hash: number): number {
  return hash ^ (hash >>> 16)
}

interface TreeNode<T> {
  readonly element: T
  parent: TreeNode<T> | undefined
  left: TreeNode<T> | undefined
  right: TreeNode<T> | undefined
  isRed: boolean
}

/**
 * A TreeSet: a red-black tree that compares an element only when it is added. Where the order of
 * elements changes later, what comes out depends on the tree's shape, so it has to be this one.
 */
export class TreeSet<T> implements Iterable<T> {
  readonly #compare: (a: T, b: T) => number
  #root: TreeNode<T> | undefined

  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare
  }

  /** Adds an element, unless one compares equal on the way to its place. */
  add(element: T): void {
    let parent: TreeNode<T> | undefined
    let order = 0
    for (let at = this.#root; at !== undefined; at = order < 0 ? at.left : at.right) {
      order = this.#compare(element, at.element)
      if (order === 0) return
      parent = at
    }
    const node = { element, parent, left: undefined, right: undefined, isRed: true }
    if (parent === undefined) this.#root = node
    else if (order < 0) parent.left = node
    else parent.right = node
    this.#balance(node)
  }

  *[Symbol.iterator](): Iterator<T> {
    yield* inOrder(this.#root)
  }

  #balance(added: TreeNode<T>): void {
    let node = added
    for (;;) {
      const parent = node.parent
      const grandparent = parent?.parent
      if (parent === undefined || grandparent === undefined || !parent.isRed) break
      const [side, other] = grandparent.left === parent ? LEFT_RIGHT : RIGHT_LEFT
      const uncle = grandparent[other]
      grandparent.isRed = true
      if (uncle?.isRed === true) {
        parent.isRed = false
        uncle.isRed = false
        node = grandparent
        continue
      }
      if (parent[other] === node) this.#rotate(parent, side)
      const top = grandparent[side]
      if (top !== undefined) top.isRed = false
      this.#rotate(grandparent, other)
      break
    }
    if (this.#root !== undefined) this.#root.isRed = false
  }

  /** Moves `node` down to `side`; its child on the other side takes its place. */
  #rotate(node: TreeNode<T>, side: 'left' | 'right'): void {
    const other = side === 'left' ? 'right' : 'left'
    const child = node[other]
    if (child === undefined) return
    node[other] = child[side]
    const moved = child[side]
    if (moved !== undefined) moved.parent = node
    child.parent = node.parent
    if (node.parent === undefined) this.#root = child
    else if (node.parent.left === node) node.parent.left = child
    else node.parent.right = child
    child[side] = node
    node.parent = child
  }
}

const LEFT_RIGHT = ['left', 'right'] as const
const RIGHT_LEFT = ['right', 'left'] as const

function* inOrder<T>(node: TreeNode<T> | undefined): Generator<T> {
  if (node === undefined) return
  yield* inOrder(node.left)
  yield node.element
  yield* inOrder(node.right)
}
