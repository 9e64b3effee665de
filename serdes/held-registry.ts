/**
 * One registry for several processes: all of them read its file, and the one that holds the log
 * writes it. Whoever registers asks the holder, which the log's own way of asking reaches; so there is
 * one writer at any time, and it is known to be the only one even after another was killed in the
 * middle of a line. Rejected: a lock of the registry's own, which a killed process leaves behind.
 */
import type { Registry } from './registry.ts'

/** What the holder does for everybody: it registers. The answer is the id. */
export function registrar(registry: Registry): (request: unknown) => Promise<number> {
  return async (request) => {
    const { subject, schema } = request as Partial<Record<'subject' | 'schema', unknown>>
    if (typeof subject !== 'string' || typeof schema !== 'string') {
      throw new TypeError('a registration needs a subject and a schema')
    }
    return await registry.register(subject, schema)
  }
}

/**
 * The registry as each of the processes has it: `file` is read, and `askHolder` reaches what
 * `registrar` gave the holder, for example by the log's method of that name.
 */
export function heldRegistry(
  file: Registry,
  askHolder: (request: unknown) => Promise<unknown>,
): Registry {
  const known = new Map<string, Promise<number>>()
  return {
    register: (subject, schema) => {
      const name = JSON.stringify([subject, schema])
      const asked = known.get(name)
      if (asked !== undefined) return asked
      const asking = ask({ subject, schema })
      known.set(name, asking)
      // What failed is asked again by whoever comes next.
      asking.catch(() => known.delete(name))
      return asking
    },
    schemaById: (id) => file.schemaById(id),
  }

  async function ask(request: { readonly subject: string; readonly schema: string }) {
    const id = await askHolder(request)
    if (typeof id !== 'number') throw new TypeError('the holder of the log answered no id')
    return id
  }
}
