/**
 * Real Kafka brokers for tests: processes on loopback with ports and folders of their own, in KRaft
 * mode, one node or three. A node can be stopped, killed as by kill -9, halted (SIGSTOP) and started
 * again on what it had.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { brokerAnswers } from './broker-ready.ts'
import {
  nodeProperties,
  scramArguments,
  writeCertificate,
  type NodePorts,
} from './broker-properties.ts'
import { javaArguments, kafkaProgram, type KafkaVersion } from './program.ts'
import { Reaper } from './reaper.ts'

type Properties = Readonly<Record<string, string>>

/** How a cluster is to be. */
export interface ClusterOptions {
  /** Default 4.1.0. */
  readonly version?: KafkaVersion
  /** Default 1. */
  readonly nodes?: 1 | 3
  /** Beside or instead of the usual properties of every node; a function is told the node's ports. */
  readonly properties?: Properties | ((ports: NodePorts) => Properties)
  /** Whether there is a SASL_SSL listener too, with the users of broker-properties.ts and ACLs. */
  readonly secure?: boolean
  /** A file into which a node writes its classes when it is stopped (class-archive.ts). */
  readonly writeArchive?: string
  /** Java's options behind those that make a node small and quick to start. */
  readonly java?: readonly string[]
}

/** A node as tests have it at hand. */
export interface KafkaNode {
  /** From 1. */
  readonly id: number
  /** Where its files are. */
  readonly home: string
  /** Starts the process, again where it was ended; resolves when it answers. */
  start(): Promise<void>
  /** Ends the process as an operator does: leaders move away first. */
  stop(): Promise<void>
  /** Ends the process as kill -9 does. */
  kill(): Promise<void>
  /** Halts the process, whose sockets stay open and say nothing. */
  halt(): void
  /** Lets a halted process go on. */
  resume(): void
  /** What the broker wrote to its log so far. */
  said(): Promise<string>
}

/** Milliseconds a node may take until it answers. */
const READY_MS = 90_000
const run = promisify(execFile)

/** A cluster of brokers that ends when it is disposed of, or with this process, however that ends. */
export class TestCluster implements AsyncDisposable {
  /** host:port of each node, in the order of their numbers. */
  readonly brokers: readonly string[]
  /** The same of the SASL_SSL listeners; empty where there are none. */
  readonly secureBrokers: readonly string[]
  /** The certificate, PEM, that signs the SASL_SSL listeners. */
  readonly ca: string
  /** The key of that certificate, with which a client shows it at `mutualBrokers`. */
  readonly key: string
  /** The same of the listeners of TLS that want a client's certificate. */
  readonly mutualBrokers: readonly string[]
  readonly nodes: readonly BrokerNode[]
  readonly #reaper: Reaper

  private constructor(
    reaper: Reaper,
    nodes: readonly BrokerNode[],
    { certificate: ca, key }: { readonly certificate: string; readonly key: string },
  ) {
    this.#reaper = reaper
    this.nodes = nodes
    this.ca = ca
    this.key = key
    this.mutualBrokers = ca === '' ? [] : nodes.map(({ ports }) => `127.0.0.1:${ports.mutual}`)
    this.brokers = nodes.map(({ ports }) => `127.0.0.1:${ports.plain}`)
    this.secureBrokers = ca === '' ? [] : nodes.map(({ ports }) => `127.0.0.1:${ports.secure}`)
  }

  /** Formats and starts all nodes; resolves when each answers. */
  static async start(options: ClusterOptions = {}): Promise<TestCluster> {
    const program = await kafkaProgram(options.version ?? '4.1.0')
    const folder = await mkdtemp(join(tmpdir(), 'millrace-kafka-'))
    const ports = await freePorts(options.nodes ?? 1)
    const secure = options.secure === true
    const pair = secure ? await writeCertificate(folder) : { certificate: '', key: '' }
    const clusterId = randomBytes(16).toString('base64url')
    const reaper = new Reaper(folder)
    const { writeArchive, java } = options
    const nodes = ports.map((own, at) => {
      const home = join(folder, `node-${at + 1}`)
      return new BrokerNode({ id: at + 1, ports: own, home, program, reaper, writeArchive, java })
    })
    const cluster = new TestCluster(reaper, nodes, pair)
    try {
      await Promise.all(
        nodes.map(async (node) => {
          const usual = nodeProperties({ node, all: ports, secure, folder })
          const { properties: wanted } = options
          const own = typeof wanted === 'function' ? wanted(node.ports) : wanted
          await node.format(clusterId, { ...usual, ...own }, secure)
          await node.start()
        }),
      )
    } catch (error) {
      await cluster[Symbol.asyncDispose]()
      throw error
    }
    return cluster
  }

  /** The node of that number, from 1. */
  node(id: number): BrokerNode {
    const node = this.nodes[id - 1]
    if (node === undefined) throw new RangeError(`there is no node ${id}`)
    return node
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()))
    await this.#reaper[Symbol.asyncDispose]()
  }
}

interface NodeSetting {
  readonly id: number
  readonly ports: NodePorts
  readonly home: string
  readonly program: string
  readonly reaper: Reaper
  readonly writeArchive: string | undefined
  readonly java: readonly string[] | undefined
}

/** One broker, which is its own controller too. */
export class BrokerNode implements KafkaNode {
  readonly id: number
  readonly ports: NodePorts
  readonly home: string
  readonly #setting: NodeSetting
  #child: ChildProcess | undefined

  constructor(setting: NodeSetting) {
    this.id = setting.id
    this.ports = setting.ports
    this.home = setting.home
    this.#setting = setting
  }

  /** The process; undefined where it has ended. */
  get pid(): number | undefined {
    const child = this.#child
    return child?.exitCode === null && child.signalCode === null ? child.pid : undefined
  }

  /** Writes the node's properties and its empty storage. */
  async format(clusterId: string, properties: Properties, secure: boolean): Promise<void> {
    await mkdir(this.home, { recursive: true })
    const lines = Object.entries(properties).map(([name, value]) => `${name}=${value}`)
    await writeFile(this.#file('server.properties'), `${lines.join('\n')}\n`)
    await writeFile(this.#file('log4j2.xml'), LOG4J2)
    await writeFile(this.#file('log4j.properties'), LOG4J1)
    const scram = secure ? scramArguments() : []
    // In one word: an id may begin with a dash.
    const id = `--cluster-id=${clusterId}`
    const format = ['format', id, '-c', this.#file('server.properties'), ...scram]
    await run('java', [...this.#java(), 'kafka.tools.StorageTool', ...format])
  }

  async start(): Promise<void> {
    const { reaper, writeArchive } = this.#setting
    const out = openSync(this.#file('out.txt'), 'a')
    const archive = writeArchive === undefined ? [] : [`-XX:ArchiveClassesAtExit=${writeArchive}`]
    const command = [...archive, ...this.#java(), 'kafka.Kafka', this.#file('server.properties')]
    const child = spawn('java', command, { stdio: ['ignore', out, out] })
    closeSync(out)
    this.#child = child
    if (child.pid !== undefined) reaper.watch(child.pid)
    const answers = await brokerAnswers(this.ports.plain, READY_MS, () => child.exitCode === null)
    if (answers) return
    await this.kill()
    const said = await readFile(this.#file('out.txt'), 'utf8')
    throw new Error(`Kafka node ${this.id} did not start:\n${said.slice(-4000)}`)
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  halt(): void {
    this.#child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  async said(): Promise<string> {
    return await readFile(this.#file('out.txt'), 'utf8')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  #file(name: string): string {
    return join(this.home, name)
  }

  #java(): readonly string[] {
    return [
      `-Dlog4j2.configurationFile=${this.#file('log4j2.xml')}`,
      `-Dlog4j.configuration=file:${this.#file('log4j.properties')}`,
      ...javaArguments(this.#setting.program, 512),
      ...(this.#setting.java ?? []),
    ]
  }
}

/** Ports that nobody listens on just now; all are held until the last is found, so that they differ. */
async function freePorts(nodes: number): Promise<readonly NodePorts[]> {
  const held: Server[] = []
  const one = async (): Promise<number> => {
    const server = createServer().listen(0, '127.0.0.1')
    held.push(server)
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return address.port
  }
  const ports: NodePorts[] = []
  for (let node = 0; node < nodes; node += 1) {
    const [plain, controller] = [await one(), await one()]
    const [secure, mutual, spare] = [await one(), await one(), await one()]
    ports.push({ plain, controller, secure, mutual, spare })
  }
  await Promise.all(
    held.map(async (server) => {
      server.close()
      await once(server, 'close')
    }),
  )
  return ports
}

/** Of Kafka 4. */
const LOG4J2 = `<Configuration status="error"><Appenders><Console name="out"><PatternLayout pattern="%d %p %c{1} %m%n"/></Console></Appenders>
<Loggers><Root level="warn"><AppenderRef ref="out"/></Root></Loggers></Configuration>
`
/** Of Kafka 3. */
const LOG4J1 = `log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %c{1} %m%n
`
