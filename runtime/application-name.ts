/** The name of an application, checked before anything is named after it: topics, offsets, transactions, folders. */
import { MillraceError } from '../model/errors.ts'
import { isTopicName, type Topic } from '../model/position.ts'
import { changelogName } from '../state/changelog.ts'
import { repartitionName } from '../topology/application.ts'
import { hasOwnChangelog, type Topology } from '../topology/graph.ts'

/**
 * The name that a topology runs under: the one that is given, otherwise its own. Throws
 * MILLRACE_ILLEGAL_NAME where it, or a topic that the application would make, cannot be named so.
 */
export function applicationNameOf(topology: Topology, given: string | undefined): string {
  const application = given ?? topology.name
  legalName('application', application)
  const changelogs = topology.stores
    .filter(hasOwnChangelog)
    .map(({ spec }) => changelogName(application, spec.name))
  const repartitions = topology.repartitions.map(({ topic }) => repartitionName(application, topic))
  for (const topic of [...repartitions, ...changelogs]) {
    if (isTopicName(topic)) continue
    throw new MillraceError(
      'MILLRACE_ILLEGAL_NAME',
      `the application is named ${application}, and its topic ${topic} would have ${topic.length} characters, ` +
        'more than the 249 that Kafka takes: give the application, or that step, a shorter name.',
      { place: topic },
    )
  }
  return application
}

type NameOption = 'application' | 'deadLetterTopic' | 'instanceId'

/**
 * The value of `option` as a name. Throws MILLRACE_ILLEGAL_NAME where no topic may be named so; Kafka
 * takes no other instance ids either.
 */
export function legalName(option: NameOption, name: string): Topic {
  if (isTopicName(name)) return name
  throw new MillraceError(
    'MILLRACE_ILLEGAL_NAME',
    `${option} is ${JSON.stringify(name)}, and Kafka takes no such name: use 1 to 249 of ` +
      "the letters a-z and A-Z, digits, '.', '_' and '-'.",
    { place: option },
  )
}
