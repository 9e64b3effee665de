/** `millrace describe`: the steps of a pipeline, without running it. */
import { describeJson } from '../topology/describe-json.ts'
import { describeMermaid } from '../topology/describe-mermaid.ts'
import { describe } from '../topology/describe.ts'
import { defineCommand } from './command.ts'
import { loadPipeline } from './load-pipeline.ts'
import { flag } from './options.ts'
import type { Json } from './output.ts'

/** The command. */
export const describeCommand = defineCommand({
  name: 'describe',
  summary: 'shows the steps of a pipeline',
  details: "The text is Kafka Streams' own, so that tools that read it go on working.",
  operands: { usage: '<pipeline.ts>', least: 1, most: 1 },
  options: { mermaid: flag('as a Mermaid flowchart') },
  examples: [
    { line: 'millrace describe pipeline.ts', says: 'sub-topologies, steps, stores and topics' },
    { line: 'millrace describe pipeline.ts --mermaid', says: 'a picture for a Markdown page' },
    { line: 'millrace describe pipeline.ts --json', says: 'for a program' },
  ],
  run: async ({ operands: [path = ''], options, output }) => {
    const topology = await loadPipeline(path)
    const text = options.mermaid ? describeMermaid(topology) : describe(topology)
    const data = JSON.parse(describeJson(topology)) as Record<string, Json>
    output.result('topology', text, data)
    return undefined
  },
})
