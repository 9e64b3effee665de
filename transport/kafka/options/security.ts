/** How a connection proves who it is, and knows whom it speaks to. */

/** TLS. An empty object is TLS with the system's authorities. */
export interface KafkaTls {
  /** Certificates of authorities, PEM; the system's where it is left out. */
  readonly ca?: string | readonly string[]
  /** The client's certificate and key, PEM, where the broker asks for one. */
  readonly cert?: string
  readonly key?: string
  /** Of the key. */
  readonly passphrase?: string
  /** The name that the certificate must bear, where it is not the host's. */
  readonly serverName?: string
  /** False takes a trusted certificate for whatever name. Default true. */
  readonly verifyName?: boolean
  /** False takes any certificate: for trials only. Default true. */
  readonly verify?: boolean
}

/** SASL. A password goes over the wire as it is with PLAIN: use TLS with it. */
export type KafkaSasl =
  | {
      readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
      readonly username: string
      readonly password: string
    }
  | {
      readonly mechanism: 'OAUTHBEARER'
      /** Asked for at each connection and renewal; keeps and refreshes the token itself. A TransportError goes through as it is; any other is tried again. */
      readonly token: () => Promise<string>
    }
