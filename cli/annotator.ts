/** `millrace annotator`: the local annotator, for the real Google client to talk to. */
import { once } from 'node:events'
import { serveAnnotator } from '../video/annotators/local-server.ts'
import type { Rehearsal } from '../video/annotators/rehearsal.ts'
import { defineCommand } from './command.ts'
import { given } from './given.ts'
import { count, duration, index, oneOf, optional, port, size, withDefault } from './options.ts'

const rehearsed = oneOf('in-band', 'status', 'resource-exhausted', 'die')

/** The command. */
export const annotatorCommand = defineCommand({
  name: 'annotator',
  summary: "serves the local annotator behind Google's protocol",
  details:
    'Listens on 127.0.0.1 without credentials. A rehearsal makes it fail as the real service does:\n' +
    'in-band (an error inside a response), status (an error that ends the stream),\n' +
    'resource-exhausted (the quota is used up), die (the connection is gone).',
  operands: { usage: '', least: 0, most: 0 },
  options: {
    port: withDefault(port, '8650', 'where it listens; 0 for any free port'),
    rehearse: optional(rehearsed, 'how streams fail: in-band, status, resource-exhausted or die'),
    'rehearse-code': optional(
      index,
      "the gRPC code of in-band and status; otherwise 14, 'unavailable'",
    ),
    'rehearse-after': optional(size, 'how much a stream takes before it fails'),
    'rehearse-times': optional(count, 'how many streams fail; otherwise 1'),
    latency: optional(duration, 'how long each answer is held back'),
    'max-streams': optional(count, 'how many streams are admitted at a time'),
  },
  examples: [
    { line: 'millrace annotator', says: 'on port 8650' },
    {
      line: 'millrace annotator --rehearse die --rehearse-after 5MiB',
      says: 'dies once in mid-stream',
    },
    { line: 'millrace annotator --max-streams 2 --latency 500ms', says: 'slow and with a quota' },
  ],
  endless: true,
  run: async ({ options, output, clock, signal }) => {
    const rehearsal: Rehearsal = given({
      error: options.rehearse,
      code: options['rehearse-code'],
      failAfterBytes: options['rehearse-after'],
      times: options['rehearse-times'],
      latencyMs: options.latency,
      maxStreams: options['max-streams'],
    })
    await using server = await serveAnnotator({ clock, port: options.port, rehearsal })
    output.result('listening', `listening on ${server.endpoint}`, { endpoint: server.endpoint })
    if (!signal.aborted) await once(signal, 'abort')
    await server.close()
    return undefined
  },
})
