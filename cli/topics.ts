/** `millrace topics`: what a pipeline needs of its log, what is there, and how to get from one to the other. */
import { isMillraceError } from '../model/errors.ts'
import type { Topic } from '../model/position.ts'
import { applicationNameOf } from '../runtime/application-name.ts'
import { deadLetterTopicOf, type DeadLetterChoice } from '../runtime/dead-letter.ts'
import { forApplication } from '../topology/application.ts'
import type { Topology } from '../topology/graph.ts'
import { BROKER_SETTINGS, brokerAdvice, usualLimit, type BrokerAdvice } from './broker-advice.ts'
import { defineCommand } from './command.ts'
import { createMissingTopics, LARGEST_RECORD, limitOf } from './create-topics.ts'
import { EXIT } from './exit-codes.ts'
import { loadPipeline } from './load-pipeline.ts'
import { logOptions, logPlaceOf } from './log-place.ts'
import { openLog, type OpenLog } from './open-log.ts'
import { count, flag, name, optional, size } from './options.ts'
import type { Output } from './output.ts'
import { planTopics, type PlannedTopic, type TopicPlan } from './planned-topics.ts'
import { formatBytes } from './quantities.ts'
import { createLine, mendLine, type CommandStyle } from './topic-commands.ts'
import { counted, differencesOf, narrowSink, type TopicDifference } from './topic-differences.ts'

/** The command. */
export const topicsCommand = defineCommand({
  name: 'topics',
  summary: 'shows the topics that a pipeline needs, and makes those that are missing',
  details:
    'Sources and sinks, which people make, and changelogs, repartition topics and dead letters,\n' +
    'which a run makes. Says what does not fit, with the command lines of Kafka that mend it, and\n' +
    'ends with exit code 7 where a run could not go on with what is there.',
  operands: { usage: '<pipeline.ts>', least: 1, most: 1 },
  options: {
    ...logOptions,
    application: optional(name, "the application's name; otherwise the topology's"),
    'dead-letters': optional(name, 'the topic of dead letters that a run is given'),
    chunk: optional(size, 'how large values are that it reads; of videos.raw, otherwise 5MiB'),
    partitions: optional(
      count,
      'partitions of sources and sinks; otherwise as those that are there',
    ),
    replication: optional(count, 'with Kafka: copies of topics that are made'),
    create: flag('make what is missing'),
  },
  examples: [
    { line: 'millrace topics pipeline.ts --brokers localhost:9092', says: 'what it needs' },
    {
      line: 'millrace topics pipeline.ts --brokers localhost:9092 --create --partitions 4',
      says: 'make what is missing',
    },
    {
      line: 'millrace topics pipeline.ts --kafka-config client.properties --chunk 10MiB',
      says: 'for large chunks, with the limits of all brokers',
    },
  ],
  run: async ({ operands: [path = ''], options, output, clock, signal }) => {
    const place = logPlaceOf(options)
    const pipeline = await loadPipeline(path)
    const application = applicationNameOf(pipeline, options.application)
    const topology = forApplication(pipeline, application)
    const letters = lettersOf(topology, { application, deadLetterTopic: options['dead-letters'] })
    const { replication } = options
    await using log = await openLog(place, {
      clock,
      signal,
      existing: !options.create,
      replication,
    })
    const settings = (await log.cluster?.brokerSettings(BROKER_SETTINGS)) ?? []
    const planned = await planTopics(topology, log.transport, {
      application,
      partitions: options.partitions,
      recordBytes: options.chunk,
      deadLetterTopic: letters.topic,
      usualLimit: usualLimit(settings),
    })
    const plan = { ...planned, misfits: [...planned.misfits, ...letters.misfits] }
    const style = styleOf(log, replication)
    const states = plan.topics.map((topic) => stateOf(topic, options.partitions))
    const brokers = style === undefined ? [] : brokerAdvice(settings, largestOf(plan), style)
    showPlan(output, { plan, states, brokers, style, isMaking: options.create })
    const missing = plan.topics.filter(({ there }) => there === undefined)
    if (options.create) await make(log, missing, output)
    const isShort = missing.some(({ role }) => role === 'source' || role === 'sink')
    const isWrong =
      plan.misfits.length > 0 ||
      brokers.some((advice) => advice.isWrong) ||
      states.some(({ differences }) => differences.length > 0) ||
      (isShort && !options.create)
    return isWrong ? EXIT.checkFailed : EXIT.done
  },
})

/** Where dead letters go, or what is missing for that: a run is refused then. */
function lettersOf(
  topology: Topology,
  choice: DeadLetterChoice,
): { readonly topic: Topic | undefined; readonly misfits: readonly string[] } {
  try {
    return { topic: deadLetterTopicOf(topology, choice), misfits: [] }
  } catch (error) {
    if (!isMillraceError(error, 'MILLRACE_NO_DEAD_LETTER_TOPIC')) throw error
    const says = `${error.place}: it sends records to the dead-letter topic, and none is named: give --dead-letters NAME, here and to \`millrace run\``
    return { topic: undefined, misfits: [says] }
  }
}

interface TopicState {
  readonly topic: PlannedTopic
  readonly differences: readonly TopicDifference[]
}

function stateOf(topic: PlannedTopic, asked: number | undefined): TopicState {
  return { topic, differences: differencesOf(topic, asked) }
}

/** Undefined for an embedded log, which Kafka's tools do not reach. */
function styleOf({ cluster }: OpenLog, replication: number | undefined): CommandStyle | undefined {
  if (cluster === undefined) return undefined
  const { brokers, propertiesFile } = cluster
  return { brokers, propertiesFile, replication }
}

/** The largest record that comes in or goes out. */
function largestOf({ topics }: TopicPlan): number {
  const outer = topics.filter(({ role }) => role === 'source' || role === 'sink')
  return Math.max(
    0,
    ...outer.flatMap(({ config, there }) => [limitOf({ config }), limitOf(there ?? {})]),
  )
}

async function make(
  { transport }: OpenLog,
  missing: readonly PlannedTopic[],
  output: Output,
): Promise<void> {
  const made = await createMissingTopics(
    transport,
    missing.map(({ topic, partitions, config }) => ({ topic, partitions, config })),
  )
  const text = made.length === 0 ? 'nothing was missing' : `made ${made.join(', ')}`
  output.result('topics-made', text, { topics: made })
}

interface Shown {
  readonly plan: TopicPlan
  readonly states: readonly TopicState[]
  readonly brokers: readonly BrokerAdvice[]
  readonly style: CommandStyle | undefined
  /** What is missing is made next, so nobody needs the command lines for it. */
  readonly isMaking: boolean
}

function showPlan(output: Output, { plan, states, brokers, style, isMaking }: Shown): void {
  const width = Math.max(...plan.topics.map(({ topic }) => topic.length))
  for (const { topic: planned, differences } of states) {
    const { topic, role, there } = planned
    const state = there === undefined ? 'missing' : differences.length === 0 ? 'ok' : 'differs'
    const narrow = narrowSink(planned, plan.topics)
    const notes = narrow === undefined ? [] : [narrow]
    const says = differences.map((difference) => difference.says)
    const isMade = isMaking && there === undefined
    const commands = isMade ? [] : commandsFor(planned, differences, style)
    const lines = [
      `${state.padEnd(8)} ${topic.padEnd(width)}  ${role.padEnd(12)} ${settingsOf(planned)}`,
      ...[...says, ...notes].map((line) => `         ${line}`),
      ...commands.map((line) => `         $ ${line}`),
    ]
    const { partitions, config } = there ?? planned
    const about = { topic, role, state, partitions, config: { ...config } }
    output.result('topic', lines.join('\n'), { ...about, differences: says, notes, commands })
  }
  for (const says of plan.misfits) output.result('misfit', `differs  ${says}`, { says })
  for (const { says, isWrong } of brokers) {
    output.result('broker', `${isWrong ? 'differs ' : 'note    '} ${says}`, { says, isWrong })
  }
}

function commandsFor(
  planned: PlannedTopic,
  differences: readonly TopicDifference[],
  style: CommandStyle | undefined,
): readonly string[] {
  if (style === undefined) return []
  if (planned.there === undefined) return [createLine(planned, style)]
  return differences.flatMap((difference) => mendLine(planned.topic, difference, style) ?? [])
}

function settingsOf(planned: PlannedTopic): string {
  const { partitions, config } = planned.there ?? planned
  const limit = Number(config[LARGEST_RECORD] ?? 0)
  const parts = [
    counted(partitions),
    config['cleanup.policy'] ?? 'delete',
    ...(limit === 0 ? [] : [`records up to ${formatBytes(limit)}`]),
  ]
  return parts.join(', ')
}
