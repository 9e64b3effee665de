/** Where Avro schemas are kept under numbers, so that a record carries four bytes instead of its schema. */

/** A schema registry, with Confluent's words: a subject is `<topic>-key` or `<topic>-value`, an id names one schema for ever. */
export interface Registry {
  /** The id of `schema` (JSON text) under `subject`; registers it where it is new. */
  register(subject: string, schema: string): Promise<number>
  /** The schema (JSON text) of an id. Rejects with MILLRACE_UNKNOWN_SCHEMA, which names the id. */
  schemaById(id: number): Promise<string>
}
