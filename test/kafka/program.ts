/**
 * The class path of a Kafka broker, fetched from Maven Central by `mvn`, once, and kept outside the
 * tree: in MILLRACE_TEST_CACHE, or in the user's cache.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** The versions of Kafka that millrace is tested with. */
export type KafkaVersion = '4.1.0' | '3.9.1'

const run = promisify(execFile)

/** The folder with the jars of a version, fetched where it is not there yet. */
export async function kafkaProgram(version: KafkaVersion): Promise<string> {
  const cache = cacheFolder()
  const folder = join(cache, `kafka-${version}`)
  if (existsSync(folder)) return folder
  await mkdir(cache, { recursive: true })
  const fetching = await mkdtemp(join(cache, 'fetching-'))
  try {
    await writeFile(join(fetching, 'pom.xml'), pom(version))
    const jars = join(fetching, 'jars')
    const goal = ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${jars}`]
    await run('mvn', goal, { cwd: fetching })
    // Whole or not at all. Another run may have been quicker.
    if (!existsSync(folder)) await rename(jars, folder)
  } finally {
    await rm(fetching, { recursive: true, force: true })
  }
  return folder
}

/** Where the archive of a program's classes is, once class-archive.ts wrote it: it goes with the jars. */
export function classArchive(program: string): string {
  return join(program, 'classes.jsa')
}

/** What Java is told to run a class of a program: few megabytes, quick to start, for many share few cores. */
export function javaArguments(program: string, heapMb: number): readonly string[] {
  const archive = classArchive(program)
  return [
    `-Xmx${heapMb}m`,
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-Xshare:auto',
    // Another Java than that which wrote it does without it, and would say so in the midst of what a tool prints.
    ...(existsSync(archive) ? [`-XX:SharedArchiveFile=${archive}`, '-Xlog:disable'] : []),
    '-cp',
    join(program, '*'),
  ]
}

/** Where what is fetched for tests and benchmarks is kept. */
export function cacheFolder(): string {
  const own = process.env['MILLRACE_TEST_CACHE']
  if (own !== undefined && own !== '') return own
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'millrace')
}

function pom(version: KafkaVersion): string {
  // 3.9 brings a binding of its log itself.
  const binding = ['org.apache.logging.log4j', 'log4j-slf4j-impl', '2.24.3']
  const artifacts = [
    ['org.apache.kafka', 'kafka_2.13', version],
    ['org.apache.kafka', 'kafka-tools', version],
    ...(version === '4.1.0' ? [binding] : []),
  ]
  const dependencies = artifacts.map(
    ([group, artifact, of]) =>
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${of}</version></dependency>`,
  )
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>millrace</groupId><artifactId>broker</artifactId><version>1</version>
<dependencies>${dependencies.join('\n')}</dependencies></project>
`
}
