/** `millrace reset`: an application forgets what it did, after it was shown what that means. */
import { describePartition } from '../model/position.ts'
import { applicationNameOf } from '../runtime/application-name.ts'
import {
  applyReset,
  isNothing,
  planReset,
  type ResetPlan,
  type ResetTarget,
} from '../runtime/reset.ts'
import { confirmed } from './ask.ts'
import { defineCommand } from './command.ts'
import { loadPipeline } from './load-pipeline.ts'
import { logOptions, logPlaceOf, STATE_HELP, stateFolderOf } from './log-place.ts'
import { openLog } from './open-log.ts'
import { flag, folder, name, optional, withDefault, type ValueKind } from './options.ts'
import type { Json } from './output.ts'

/** With its zone: what a clock on the wall says is another time on the next machine. */
const MOMENT = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/

const target: ValueKind<ResetTarget> = {
  placeholder: 'WHERE',
  looksLike: 'earliest, latest or a time such as 2026-01-31T08:00:00Z',
  parse: (given) => {
    if (given === 'earliest' || given === 'latest') return { kind: given }
    const timestampMs = MOMENT.test(given) ? Date.parse(given) : Number.NaN
    return Number.isNaN(timestampMs) ? undefined : { kind: 'time', timestampMs }
  },
}

/** The command. */
export const resetCommand = defineCommand({
  name: 'reset',
  summary: 'makes a pipeline start anew: forgets its offsets, its own topics and its state',
  details:
    'Shows first what would be deleted, and asks. The pipeline must not run. Topics that it reads\n' +
    'and topics that it writes for others stay; what it writes again comes there a second time.\n' +
    'A reset that was interrupted is done again: it goes on with what is left.',
  operands: { usage: '<pipeline.ts>', least: 1, most: 1 },
  options: {
    ...logOptions,
    state: optional(folder, STATE_HELP),
    application: optional(name, "the application's name; otherwise the topology's"),
    to: withDefault(
      target,
      'earliest',
      'where it begins: earliest, latest or a time with its zone',
    ),
    'old-topics': flag(
      'also delete changelogs and repartition topics that it does not use any more',
    ),
    'dry-run': flag('show what would be done, and do nothing'),
    yes: flag('do not ask'),
  },
  examples: [
    { line: 'millrace reset pipeline.ts --embedded data --dry-run', says: 'what would be deleted' },
    { line: 'millrace reset pipeline.ts --embedded data', says: 'from the beginning' },
    {
      line: 'millrace reset pipeline.ts --embedded data --to 2026-01-31T08:00:00Z --yes',
      says: 'from a time, without being asked',
    },
  ],
  run: async ({ operands: [path = ''], options, output, clock, signal }) => {
    const place = logPlaceOf(options)
    const topology = await loadPipeline(path)
    const application = applicationNameOf(topology, options.application)
    await using log = await openLog(place, { clock, existing: true, signal })
    const request = {
      topology,
      transport: log.transport,
      stateDir: stateFolderOf(place, options.state),
      to: options.to,
      oldTopics: options['old-topics'],
      signal,
      application,
    }
    const plan = await planReset(request)
    output.result('reset-plan', describePlan(plan), planData(plan))
    if (options['dry-run'] || isNothing(plan)) return undefined
    const otherwise =
      'reset deletes what it has shown, and nobody can be asked here: add --yes to go on'
    if (!options.yes && !(await confirmed('Go on?', { otherwise, signal }))) {
      output.note('nothing was changed')
      return undefined
    }
    signal.throwIfAborted()
    await applyReset(plan, request)
    output.result('reset', `${plan.application} was reset`, { application: plan.application })
    return undefined
  },
})

function describePlan(plan: ResetPlan): string {
  if (isNothing(plan)) return `${plan.application} has nothing to forget`
  return [
    `reset of ${plan.application}`,
    ...section(
      'reads from',
      plan.inputs.map((input) => {
        const from = input.from === undefined ? 'nothing read' : `read up to ${input.from}`
        return `${describePartition(input)}@${input.to}  (${from})`
      }),
    ),
    ...section('deletes the topics', plan.topics),
    ...section('deletes the state in', plan.folders),
    ...section('writes again to', plan.outputs),
    ...section('leaves, where --old-topics is not given,', plan.left),
  ].join('\n')
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`)]
}

function planData({ inputs, target: to, ...plan }: ResetPlan): { readonly [name: string]: Json } {
  return {
    ...plan,
    to: to.kind === 'time' ? new Date(to.timestampMs).toISOString() : to.kind,
    inputs: inputs.map(({ topic, partition, from, to: start }) => {
      return { topic, partition, from: from ?? null, to: start }
    }),
  }
}
