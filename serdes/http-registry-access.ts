/**
 * Where a registry is, and who asks. Credentials go into one header and nowhere else: an address is
 * shown without them, what a server echoes is blanked, and what the platform would put into an error
 * of its own (a header with a line break, an address with a password) is refused before it can.
 */
import { asError } from '../model/errors.ts'
import { SerdeError } from './errors.ts'

/** How a registry knows who asks. A token may be made anew for each request. */
export type RegistryAuth =
  | { readonly kind: 'basic'; readonly user: string; readonly password: string }
  | {
      readonly kind: 'bearer'
      readonly token: string | ((signal: AbortSignal) => string | Promise<string>)
    }

/** The addresses of one registry and the header that opens it. */
export class RegistryAccess {
  /** In the order to try them, without credentials and without a slash at the end. */
  readonly addresses: readonly string[]
  readonly #auth: RegistryAuth | undefined
  /** What must not be shown: the latest token too. */
  readonly #secrets = new Set<string>()

  constructor(urls: readonly string[], auth: RegistryAuth | undefined) {
    if (urls.length === 0) throw misconfigured('no address was given. Set url, or urls')
    const parsed = urls.map(parse)
    this.addresses = parsed.map(({ address }) => address)
    this.#auth = auth ?? parsed.find(({ login }) => login !== undefined)?.login
    if (this.#auth?.kind === 'basic') this.#checkLogin(this.#auth)
  }

  /** The Authorization header. Rejects with MILLRACE_REGISTRY_UNAUTHORIZED where no token can be had. */
  async authorization(signal: AbortSignal): Promise<string | undefined> {
    const auth = this.#auth
    if (auth === undefined) return undefined
    return auth.kind === 'basic' ? basic(auth) : `Bearer ${await this.#token(auth.token, signal)}`
  }

  /** `text` without credentials, for messages. */
  hide(text: string): string {
    let shown = text
    for (const secret of this.#secrets) shown = shown.replaceAll(secret, '***')
    return shown
  }

  async #token(
    token: string | ((signal: AbortSignal) => string | Promise<string>),
    signal: AbortSignal,
  ): Promise<string> {
    const value = typeof token === 'string' ? token : await this.#made(token, signal)
    if (!/^[\x21-\x7e]+$/.test(value)) {
      throw unauthorized('the bearer token is empty, or has characters that a header cannot carry')
    }
    // Tokens come and go; of those that are made, the last few may still be echoed.
    if (this.#secrets.size >= REMEMBERED_SECRETS) this.#secrets.clear()
    this.#secrets.add(value)
    return value
  }

  async #made(
    token: (signal: AbortSignal) => string | Promise<string>,
    signal: AbortSignal,
  ): Promise<string> {
    try {
      return await token(signal)
    } catch (error) {
      signal.throwIfAborted()
      throw unauthorized(`no bearer token could be had: ${asError(error).message}`, error)
    }
  }

  #checkLogin(login: { readonly user: string; readonly password: string }): void {
    if (login.user.includes(':')) throw misconfigured('a user of basic auth cannot have a colon')
    this.#secrets.add(basic(login).slice('Basic '.length))
    if (login.password !== '') this.#secrets.add(login.password)
  }
}

const REMEMBERED_SECRETS = 16

/** A registry that cannot be used as it was set up. */
export function misconfigured(what: string, cause?: unknown): SerdeError {
  return new SerdeError(
    'MILLRACE_REGISTRY_MISCONFIGURED',
    `the schema registry cannot be used as it is set up: ${what}`,
    { cause },
  )
}

function unauthorized(what: string, cause?: unknown): SerdeError {
  return new SerdeError(
    'MILLRACE_REGISTRY_UNAUTHORIZED',
    `the schema registry cannot be asked: ${what}. Check the option auth`,
    // What makes tokens may be down for a while; a token that cannot be sent stays so.
    cause === undefined ? {} : { cause, remedy: 'retry' },
  )
}

type Login = Extract<RegistryAuth, { kind: 'basic' }>

/** Names an address by its number where it cannot be parsed: it may hold a password. */
function parse(
  text: string,
  index: number,
): { readonly address: string; readonly login: Login | undefined } {
  const url = URL.parse(text)
  const which = `address ${index + 1}`
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw misconfigured(`${which} is not an http or https address, as http://registry:8081 is one`)
  }
  const address = `${url.origin}${url.pathname}`.replace(/\/+$/, '')
  if (url.search !== '' || url.hash !== '') {
    throw misconfigured(`${which} (${address}) has a query or a fragment. Leave it off`)
  }
  if (url.username === '' && url.password === '') return { address, login: undefined }
  const [user, password] = [decoded(url.username), decoded(url.password)]
  return { address, login: { kind: 'basic', user, password } }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A lone percent sign stands for itself.
    return text
  }
}

function basic({ user, password }: Pick<Login, 'user' | 'password'>): string {
  return `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}`
}
