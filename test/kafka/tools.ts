/** Kafka's own command-line tools, each a process of its own. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { javaArguments, kafkaProgram } from './program.ts'

/** Runs a tool by its class and returns what it prints, line by line, each cut at its blanks. */
export async function kafkaTool(
  name: string,
  ...args: readonly string[]
): Promise<readonly (readonly string[])[]> {
  const java = javaArguments(await kafkaProgram('4.1.0'), 256)
  const { stdout } = await promisify(execFile)('java', [...java, name, ...args])
  const lines = stdout.split('\n').map((line) => line.trim())
  return lines.filter((line) => line !== '').map((line) => line.split(/\s+/))
}
