/** Random schemas and values of them, from a seed. */
import type { AvroSchema } from '../../serdes/avro-type.ts'

/** Numbers in [0, 1) that follow from a seed alone (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

type Kind = 'null' | 'number' | 'bigint' | 'boolean' | 'string' | 'Buffer' | 'array' | 'object'

/** A schema and how to make values of it. */
export interface Sample {
  readonly schema: AvroSchema
  readonly kind: Kind | 'union'
  value(): unknown
}

/** Makes random schemas, with names that do not clash. */
export class RandomAvro {
  readonly #random: () => number
  #names = 0

  constructor(random: () => number) {
    this.#random = random
  }

  below(n: number): number {
    return Math.floor(this.#random() * n)
  }

  sample(depth = 3): Sample {
    const composite = [
      () => this.#array(depth),
      () => this.#map(depth),
      () => this.#record(depth),
      () => this.#union(depth),
    ]
    const makers = depth > 0 ? [...composite, () => this.#leaf()] : [() => this.#leaf()]
    return (makers[this.below(makers.length)] ?? (() => this.#leaf()))()
  }

  #leaf(): Sample {
    const leaves: Sample[] = [
      { schema: 'null', kind: 'null', value: () => null },
      { schema: 'boolean', kind: 'boolean', value: () => this.below(2) === 1 },
      { schema: 'int', kind: 'number', value: () => (this.#random() * 2 ** this.below(33)) | 0 },
      { schema: 'long', kind: 'number', value: () => this.#long() },
      {
        schema: { type: 'long', logicalType: 'bigint' },
        kind: 'bigint',
        value: () => this.#bigint(),
      },
      { schema: 'float', kind: 'number', value: () => Math.fround(this.#random() * 1e6) },
      { schema: 'double', kind: 'number', value: () => this.#random() * 1e300 },
      { schema: 'string', kind: 'string', value: () => this.text() },
      { schema: 'bytes', kind: 'Buffer', value: () => this.bytes(this.below(100)) },
      {
        schema: { type: 'fixed', name: this.#name(), size: 5 },
        kind: 'Buffer',
        value: () => this.bytes(5),
      },
      {
        schema: { type: 'enum', name: this.#name(), symbols: ['A', 'B'] },
        kind: 'string',
        value: () => (this.below(2) ? 'A' : 'B'),
      },
      {
        schema: { type: 'fixed', name: this.#name(), size: 16, logicalType: 'uuid' },
        kind: 'string',
        value: () => this.#uuid(),
      },
    ]
    return leaves[this.below(leaves.length)] ?? { schema: 'null', kind: 'null', value: () => null }
  }

  #array(depth: number): Sample {
    const items = this.sample(depth - 1)
    const value = (): unknown[] => Array.from({ length: this.below(5) }, () => items.value())
    return { schema: { type: 'array', items: items.schema }, kind: 'array', value }
  }

  #map(depth: number): Sample {
    const values = this.sample(depth - 1)
    const value = (): object =>
      Object.fromEntries(Array.from({ length: this.below(5) }, () => [this.text(), values.value()]))
    return { schema: { type: 'map', values: values.schema }, kind: 'object', value }
  }

  #record(depth: number): Sample {
    const fields = Array.from({ length: this.below(6) }, (_, i) => ({
      name: `f${i}`,
      ...this.sample(depth - 1),
    }))
    return {
      schema: {
        type: 'record',
        name: this.#name(),
        fields: fields.map(({ name, schema }) => ({ name, type: schema })),
      },
      kind: 'object',
      value: () => Object.fromEntries(fields.map((field) => [field.name, field.value()])),
    }
  }

  #union(depth: number): Sample {
    const branches = new Map<string, Sample>()
    for (let i = 0; i < 4; i++) {
      const branch = this.sample(depth - 1)
      // A bigint is a long by its Avro name, and a union has each name once.
      const kind = branch.kind === 'bigint' ? 'number' : branch.kind
      if (kind !== 'union') branches.set(kind, branch)
    }
    const all = [...branches.values()]
    const [first] = all
    if (first === undefined) return this.#leaf()
    return {
      schema: all.map(({ schema }) => schema),
      kind: 'union',
      value: () => (all[this.below(all.length)] ?? first).value(),
    }
  }

  #long(): number {
    const n = Math.floor(this.#random() * 2 ** this.below(54))
    return this.below(2) === 1 && n !== 0 ? -n : n
  }

  #bigint(): bigint {
    const bits = BigInt(this.below(2 ** 32)) * 2n ** 32n + BigInt(this.below(2 ** 32))
    return BigInt.asIntN(64, bits) >> BigInt(this.below(64))
  }

  text(): string {
    const characters = ['a', 'é', '€', '😀', '\0', 'z']
    return Array.from(
      { length: this.below(this.below(10) === 0 ? 200 : 8) },
      () => characters[this.below(this.below(2) ? 1 : 6)],
    ).join('')
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)))
  }

  #uuid(): string {
    const hex = this.bytes(16).toString('hex')
    return [
      hex.slice(0, 8),
      hex.slice(8, 12),
      hex.slice(12, 16),
      hex.slice(16, 20),
      hex.slice(20),
    ].join('-')
  }

  #name(): string {
    return `N${this.#names++}`
  }
}
