/**
 * A schema registry in memory that speaks Confluent's HTTP API on loopback, and fails in every way
 * that is asked of it: the next requests take a fault each, in the order in which they were given.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AvroCodec } from '../../serdes/avro-codec.ts'
import { checkSchema } from '../../serdes/avro-schema.ts'
import { canonicalJson } from '../../serdes/canonical-json.ts'

/** What a request meets instead of its answer. */
export type Fault =
  | {
      readonly kind: 'status'
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
      readonly body?: string
    }
  /** The connection breaks before the answer. */
  | { readonly kind: 'reset' }
  /** Never an answer. */
  | { readonly kind: 'silence' }
  /** The request takes effect, and then the connection breaks in the middle of the answer. */
  | { readonly kind: 'torn' }
  /** A body of so many bytes, sent in pieces and never declared. */
  | { readonly kind: 'flood'; readonly bytes: number }
  /** The answer waits until it is let go. */
  | { readonly kind: 'held'; readonly until: Promise<void> }

interface Reference {
  readonly name: string
  readonly subject: string
  readonly version: number
}

interface Stored {
  readonly id: number
  readonly schema: string
  readonly schemaType: string
  readonly references: readonly Reference[]
}

interface RegisteredVersion extends Stored {
  readonly subject: string
  readonly version: number
}

interface Reply {
  readonly status: number
  readonly body: unknown
}

/** What the server saw. */
export interface Seen {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
}

export class RegistryServer implements AsyncDisposable {
  readonly seen: Seen[] = []
  readonly faults: Fault[] = []
  /** The Authorization header that is asked for. */
  authorization: string | undefined
  readonly #stored = new Map<number, Stored>()
  readonly #subjects = new Map<string, Stored[]>()
  readonly #levels = new Map<string, string>()
  #level = 'BACKWARD'
  readonly #server = createServer((request, response) => void this.#serve(request, response))
  readonly #waiting: (() => void)[] = []

  static async open(): Promise<RegistryServer> {
    const registry = new RegistryServer()
    await registry.listen(0)
    return registry
  }

  async listen(port: number): Promise<void> {
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** Puts a schema in without HTTP, as if it had come before. */
  put(subject: string, stored: Omit<Stored, 'id'>): number {
    const versions = this.#subjects.get(subject) ?? []
    const made = { id: this.#stored.size + 1, ...stored }
    this.#stored.set(made.id, made)
    this.#subjects.set(subject, [...versions, made])
    return made.id
  }

  /** Resolves when the server has seen that many requests in all. */
  async reached(requests: number): Promise<void> {
    while (this.seen.length < requests) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const fault = this.faults.shift()
    const { method = '', url = '' } = request
    this.seen.push({ method, path: url, authorization: request.headers.authorization })
    for (const wake of this.#waiting.splice(0)) wake()
    request.setEncoding('utf8')
    let text = ''
    for await (const part of request) text += part as string
    if (fault?.kind === 'reset') return void request.socket.destroy()
    if (fault?.kind === 'silence') return
    if (fault?.kind === 'held') await fault.until
    if (fault?.kind === 'status') {
      response.writeHead(fault.status, fault.headers)
      return void response.end(fault.body ?? '')
    }
    if (fault?.kind === 'flood') return flood(response, fault.bytes)
    const { status, body } = this.#answer(method, new URL(url, this.url), text)
    const answer = JSON.stringify(body)
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(answer),
    })
    if (fault?.kind !== 'torn') return void response.end(answer)
    response.write(answer.slice(0, answer.length / 2), () => request.socket.destroy())
  }

  #answer(method: string, url: URL, text: string): Reply {
    if (this.authorization !== undefined && this.seen.at(-1)?.authorization !== this.authorization)
      return refuse(401, 40_101, `Unauthorized: ${this.seen.at(-1)?.authorization}`)
    const [root, ...rest] = url.pathname.slice(1).split('/').map(decodeURIComponent)
    const content = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
    if (root === 'schemas' && rest[0] === 'ids') return this.#byId(Number(rest[1]))
    if (root === 'config') return this.#config(method, rest[0], content)
    if (root === 'compatibility') return this.#compare(rest[1] ?? '', content)
    if (root === 'subjects' && rest[0] !== undefined) {
      const [subject, versions, version] = rest
      if (versions === undefined) return this.#lookUp(subject, content)
      if (version !== undefined) return this.#version(subject, version)
      return method === 'POST' ? this.#register(subject, content) : this.#versions(subject)
    }
    return { status: 404, body: { error: 'HTTP 404 Not Found' } }
  }

  #byId(id: number): Reply {
    const stored = this.#stored.get(id)
    if (stored === undefined) return refuse(404, 40_403, `Schema ${id} not found`)
    const { schema, schemaType, references } = stored
    return ok({
      schema,
      // Like Confluent's, which leave both off where there is nothing to say.
      ...(schemaType === 'AVRO' ? {} : { schemaType }),
      ...(references.length === 0 ? {} : { references }),
    })
  }

  #register(subject: string, content: Record<string, unknown>): Reply {
    const stored = storedOf(content)
    const found = this.#find(subject, stored)
    if (found !== undefined) return ok({ id: found.id })
    const complaint = this.#complaint(subject, stored.schema)
    if (complaint?.code === 42_201) return refuse(422, 42_201, complaint.message)
    if (complaint !== undefined) return refuse(409, 409, complaint.message)
    const same = [...this.#stored.values()].find((one) => isSame(one, stored))
    const made = same ?? { ...stored, id: this.#stored.size + 1 }
    this.#stored.set(made.id, made)
    this.#subjects.set(subject, [...(this.#subjects.get(subject) ?? []), made])
    return ok({ id: made.id })
  }

  #lookUp(subject: string, content: Record<string, unknown>): Reply {
    if (!this.#subjects.has(subject)) return refuse(404, 40_401, `Subject '${subject}' not found.`)
    const found = this.#find(subject, storedOf(content))
    return found === undefined ? refuse(404, 40_403, 'Schema not found') : ok(found)
  }

  #versions(subject: string): Reply {
    const versions = this.#subjects.get(subject)
    if (versions === undefined) return refuse(404, 40_401, `Subject '${subject}' not found.`)
    return ok(versions.map((_, i) => i + 1))
  }

  #version(subject: string, version: string): Reply {
    const versions = this.#subjects.get(subject)
    if (versions === undefined) return refuse(404, 40_401, `Subject '${subject}' not found.`)
    const number = version === 'latest' ? versions.length : Number(version)
    const stored = versions[number - 1]
    if (stored === undefined) return refuse(404, 40_402, `Version ${version} not found.`)
    return ok({ ...stored, subject, version: number })
  }

  #config(method: string, subject: string | undefined, content: Record<string, unknown>): Reply {
    if (method === 'PUT') {
      const level = String(content['compatibility'])
      if (subject === undefined) this.#level = level
      else this.#levels.set(subject, level)
      return ok({ compatibility: level })
    }
    const own = subject === undefined ? this.#level : this.#levels.get(subject)
    if (own !== undefined) return ok({ compatibilityLevel: own })
    return refuse(404, 40_408, `Subject '${subject}' has no level of its own`)
  }

  #compare(subject: string, content: Record<string, unknown>): Reply {
    if (!this.#subjects.has(subject)) return refuse(404, 40_401, `Subject '${subject}' not found.`)
    const complaint = this.#complaint(subject, storedOf(content).schema)
    return ok({
      is_compatible: complaint === undefined,
      messages: complaint ? [complaint.message] : [],
    })
  }

  #find(subject: string, stored: Omit<Stored, 'id'>): RegisteredVersion | undefined {
    const versions = this.#subjects.get(subject) ?? []
    const at = versions.findIndex((one) => isSame(one, stored))
    const found = versions[at]
    return found && { ...found, subject, version: at + 1 }
  }

  /** Why a schema may not be the next version, by BACKWARD: it cannot read what the last one wrote. */
  #complaint(
    subject: string,
    schema: string,
  ): { readonly code: number; readonly message: string } | undefined {
    const last = this.#subjects.get(subject)?.at(-1)
    try {
      const reader = new AvroCodec(checkSchema(JSON.parse(schema)), 'reader')
      const level = this.#levels.get(subject) ?? this.#level
      if (last === undefined || level === 'NONE') return undefined
      reader.reading(new AvroCodec(checkSchema(JSON.parse(last.schema)), 'writer'))
      return undefined
    } catch (error) {
      const { code, message } = error as { code: string; message: string }
      return { code: code === 'MILLRACE_INCOMPATIBLE_SCHEMA' ? 409 : 42_201, message }
    }
  }
}

function storedOf(content: Record<string, unknown>): Omit<Stored, 'id'> {
  return {
    schema: String(content['schema']),
    schemaType: 'AVRO',
    references: (content['references'] ?? []) as readonly Reference[],
  }
}

function isSame(one: Omit<Stored, 'id'>, other: Omit<Stored, 'id'>): boolean {
  const [left, right] = [one, other].map(({ schema, references }) =>
    canonicalJson([JSON.parse(schema), references]),
  )
  return left === right
}

function ok(body: unknown): Reply {
  return { status: 200, body }
}

function refuse(status: number, code: number, message: string): Reply {
  return { status, body: { error_code: code, message } }
}

function flood(response: ServerResponse, bytes: number): void {
  response.writeHead(200, { 'content-type': 'application/json' })
  const piece = Buffer.alloc(16_384, ' ')
  let left = bytes
  const pour = (): void => {
    while (left > 0 && !response.destroyed) {
      left -= piece.length
      if (!response.write(piece)) return void response.once('drain', pour)
    }
    response.end()
  }
  pour()
}
