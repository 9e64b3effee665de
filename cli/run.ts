/** `millrace run`: a pipeline from its file, until it is stopped. */
import { hostname } from 'node:os'
import { streams, type StreamsApp } from '../runtime/app.ts'
import type { StreamsEvent, StreamsOptions } from '../runtime/config.ts'
import { defineCommand, type CommandContext } from './command.ts'
import { createMissingTopics, topicsOf } from './create-topics.ts'
import { given } from './given.ts'
import { loadPipeline } from './load-pipeline.ts'
import { logOptions, logPlaceOf, STATE_HELP, stateFolderOf } from './log-place.ts'
import { openLog } from './open-log.ts'
import { count, duration, flag, folder, name, oneOf, optional, withDefault } from './options.ts'
import type { Output } from './output.ts'
import { assignmentOf, shareOptions } from './process-share.ts'
import { usageError } from './usage-error.ts'

/** Below the deadline of interruption.ts, so that an app that cannot stop says so itself. */
const CLOSE_DEADLINE_MS = 20_000

/** The command. */
export const runCommand = defineCommand({
  name: 'run',
  summary: 'runs a pipeline',
  details:
    'Goes on until it is stopped. The first SIGTERM or SIGINT commits what is done and stops;\n' +
    'a second one stops at once, which loses nothing that was committed.',
  operands: { usage: '<pipeline.ts>', least: 1, most: 1 },
  options: {
    ...logOptions,
    state: optional(folder, STATE_HELP),
    application: optional(name, "the application's name; otherwise the topology's"),
    ...shareOptions,
    adopt: flag('take over the offsets of a run with, or without, --group'),
    guarantee: withDefault(
      oneOf('exactly-once', 'at-least-once'),
      'exactly-once',
      'exactly-once or at-least-once',
    ),
    'commit-interval': optional(
      duration,
      'time between commits; otherwise 100ms, or 30s at-least-once',
    ),
    'on-error': withDefault(
      oneOf('stop', 'skip', 'dead-letter'),
      'stop',
      'a record that fails: stop, skip or dead-letter',
    ),
    'dead-letters': optional(name, 'the topic of dead letters'),
    'create-topics': flag('make the topics of the pipeline that are missing'),
    partitions: optional(count, 'partitions of topics that are made'),
    'until-caught-up': flag('stop when everything that is there is done'),
  },
  examples: [
    {
      line: 'millrace run pipeline.ts --embedded data --create-topics',
      says: 'all of it, in this process',
    },
    {
      line: 'millrace run pipeline.ts --embedded data --group',
      says: 'a share of it, as one of several processes',
    },
    {
      line: 'millrace run pipeline.ts --kafka-config client.properties --partition host',
      says: 'on Kafka, one partition a pod of a StatefulSet',
    },
    {
      line: 'millrace run pipeline.ts --embedded data --until-caught-up',
      says: 'what is there, then stop',
    },
    {
      line: 'millrace run pipeline.ts --embedded data --on-error dead-letter --dead-letters failed',
      says: 'set records aside that fail',
    },
  ],
  endless: true,
  run: async ({ operands: [path = ''], options, ...context }) => {
    if (options['on-error'] === 'dead-letter' && options['dead-letters'] === undefined) {
      throw usageError('--on-error dead-letter needs --dead-letters NAME')
    }
    const place = logPlaceOf(options)
    const assignment = assignmentOf(options, { environment: process.env, hostName: hostname() })
    const topology = await loadPipeline(path)
    await using log = await openLog(place, context)
    const onError = options['on-error']
    await using app = streams(topology, {
      transport: log.transport,
      registry: log.registry,
      clock: context.clock,
      state: { kind: 'folder', folder: stateFolderOf(place, options.state) },
      guarantee: options.guarantee,
      assignment,
      adopt: options.adopt,
      limits: {
        closeDeadlineMs: CLOSE_DEADLINE_MS,
        ...given({ commitIntervalMs: options['commit-interval'] }),
      },
      failures: { deserialization: onError, processing: onError },
      ...given({ application: options.application, deadLetterTopic: options['dead-letters'] }),
      onEvent: (event) => showEvent(context.output, event),
    } satisfies StreamsOptions)
    // An app that cannot be made must not leave topics behind.
    if (options['create-topics']) {
      const wanted = await topicsOf(topology, log.transport, options)
      const made = await createMissingTopics(log.transport, wanted)
      if (made.length > 0) context.output.note(`made the topics ${made.join(', ')}`)
    }
    await drive(app, context, options['until-caught-up'])
    return undefined
  },
})

/** Runs an app until it fails, is told to stop, or is done. */
export async function drive(
  app: StreamsApp,
  { signal }: CommandContext,
  untilCaughtUp: boolean,
): Promise<void> {
  // What close rejects with, closed does too.
  const stop = (): void => void app.close().catch(() => {})
  signal.addEventListener('abort', stop, { once: true })
  try {
    if (signal.aborted) return
    await app.start()
    if (untilCaughtUp) {
      await app.caughtUp(signal).catch((error: unknown) => {
        if (error !== signal.reason) throw error
      })
      await app.close()
    }
    await app.closed
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** Tells people what happens in an app. */
export function showEvent(output: Output, event: StreamsEvent): void {
  output.note(sentenceOf(event), { about: event.kind })
}

function sentenceOf(event: StreamsEvent): string {
  switch (event.kind) {
    case 'state':
      return `the app is ${event.to}`
    case 'paused':
      return 'the app is paused'
    case 'resumed':
      return 'the app goes on'
    case 'unit-started':
      return `unit ${event.unit} ${event.tasks.length === 0 ? 'has no task for now' : `runs ${event.tasks.join(', ')}`}`
    case 'restoring':
      return `restoring ${event.store}: ${event.restored} records, ${event.remaining} to go`
    case 'rewound':
      return `unit ${event.unit} undid its transaction and goes on: ${event.error.message}`
    case 'restarting':
      return `unit ${event.unit} starts over in ${event.delayMs} ms: ${event.error.message}`
    case 'skipped':
      return `left out ${event.place}: ${event.error.message}`
    case 'notice':
      return event.message
    default:
      return event satisfies never
  }
}
