/** What a registry's answers mean, and the errors that they become. */
import { SerdeError } from './errors.ts'
import { excerpt, shorten } from './excerpt.ts'

/** One answer that is no reason to ask again. */
export interface Answer {
  readonly status: number
  /** JSON, or undefined where the answer is something else. */
  readonly body: unknown
  /** The address that answered. */
  readonly address: string
}

/** What was asked, for messages. */
export interface Asked {
  /** `register a schema under subject "a-value"`. */
  readonly purpose: string
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly path: string
  readonly schemaId?: number
}

/** What a registry says about a request that failed: `error_code` and `message`. */
export interface RegistryComplaint {
  /** 40401 no subject, 40402 no version, 40403 no schema, 42201 not a schema. */
  readonly code: number | undefined
  readonly message: string | undefined
}

/** The complaint in an answer's body; empty where there is none. */
export function complaintOf(body: unknown): RegistryComplaint {
  const code = propertyOf(body, 'error_code')
  const message = propertyOf(body, 'message')
  return {
    code: typeof code === 'number' ? code : undefined,
    message: typeof message === 'string' ? message : undefined,
  }
}

/** Whether a registry (and not a server that knows no such path) says that it does not have something. */
export function isMissing({ status, body }: Answer): boolean {
  const { code } = complaintOf(body)
  return status === 404 && code !== undefined && code >= 40_400 && code < 40_500
}

/** The error that a refusal is. `hide` blanks credentials. */
export function refusalOf(
  asked: Asked,
  answer: Answer,
  hide: (text: string) => string,
): SerdeError {
  const { code, message } = complaintOf(answer.body)
  const said = message === undefined ? '' : `: ${shorten(hide(message), 500)}`
  const number = code === undefined || code === answer.status ? '' : ` (${code})`
  const [errorCode, remedy] = judgementOf(answer, code)
  return new SerdeError(
    errorCode,
    `cannot ${asked.purpose}: the schema registry answered ${answer.status}${number} ` +
      `to ${asked.method} ${answer.address}${asked.path}${said}. ${remedy}`,
    { place: answer.address, schemaId: asked.schemaId },
  )
}

/** The error of an answer that is not what a registry gives. */
export function badAnswer(asked: Asked, address: string, what: string): SerdeError {
  return new SerdeError(
    'MILLRACE_REGISTRY_BAD_ANSWER',
    `cannot ${asked.purpose}: ${address} answered ${asked.method} ${asked.path} with ${what}. ${ADDRESS_ADVICE}`,
    { place: address, schemaId: asked.schemaId },
  )
}

/** The property of a JSON value, undefined where it has none. */
export function propertyOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return (value as Readonly<Record<string, unknown>>)[name]
}

/** What to say of an answer that has not the shape it should have. */
export function unlike(expected: string, body: unknown): string {
  return `${body === undefined ? 'what is not JSON' : excerpt(body)} where ${expected} was expected`
}

const ADDRESS_ADVICE =
  'Check that the address is that of a schema registry with Confluent’s API, up to the path that ' +
  'comes before /subjects (Apicurio: /apis/ccompat/v7), and that no proxy answers in its place'

function judgementOf(
  { status, body }: Answer,
  code: number | undefined,
): readonly [code: SerdeError['code'], remedy: string] {
  if (status === 401 || status === 403) {
    return [
      'MILLRACE_REGISTRY_UNAUTHORIZED',
      'Check the credentials in the option auth, and that they may read and, where schemas are registered, write the subject',
    ]
  }
  if (status === 409) {
    return [
      'MILLRACE_REGISTRY_INCOMPATIBLE',
      'Give each new field a default, keep or default what is removed, or change the subject’s compatibility on purpose',
    ]
  }
  if (code === 42_201) {
    return [
      'MILLRACE_BAD_SCHEMA',
      'Check that the schema is Avro and that what it refers to is registered',
    ]
  }
  if (status >= 300 && status < 400) {
    return [
      'MILLRACE_REGISTRY_REFUSED',
      'Redirections are not followed, for credentials would follow too: use the address that it leads to',
    ]
  }
  if (body === undefined || (status === 404 && code === undefined)) {
    return ['MILLRACE_REGISTRY_BAD_ANSWER', ADDRESS_ADVICE]
  }
  return [
    'MILLRACE_REGISTRY_REFUSED',
    'The registry’s log says more; the same request will be refused again until its cause is gone',
  ]
}
