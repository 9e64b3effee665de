/** A registry that lives as long as its process, for tests and simulation. */
import type { Registry } from './registry.ts'
import { SchemaTable } from './schema-table.ts'

/** An empty registry in memory. */
export function memoryRegistry(): Registry {
  const table = new SchemaTable()
  return {
    async register(subject, schema) {
      const registration = table.find(subject, schema) ?? table.next(subject, schema)
      table.add(registration)
      return registration.id
    },
    async schemaById(id) {
      return table.schemaOf(id)
    },
  }
}
