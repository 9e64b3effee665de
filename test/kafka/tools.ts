/** Kafka's own command-line tools, each a process of its own. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { kafkaProgram } from './program.ts'

/** Runs a tool by its class and returns what it prints, line by line, each cut at its blanks. */
export async function kafkaTool(
  name: string,
  ...args: readonly string[]
): Promise<readonly (readonly string[])[]> {
  const program = join(await kafkaProgram('4.1.0'), '*')
  const java = ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', program]
  const { stdout } = await promisify(execFile)('java', [...java, name, ...args])
  const lines = stdout.split('\n').map((line) => line.trim())
  return lines.filter((line) => line !== '').map((line) => line.split(/\s+/))
}
