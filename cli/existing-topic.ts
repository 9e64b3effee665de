/** A topic that a command line names and that must be there. */
import { MillraceError } from '../model/errors.ts'
import { nearest } from '../model/nearest.ts'
import { asTopic, isTopicName } from '../model/position.ts'
import type { Transport, TopicDescription } from '../transport/transport.ts'

/** The topic called `name`. Throws MILLRACE_UNKNOWN_TOPIC, with what was probably meant and then `otherwise`, what else to do. */
export async function existingTopic(
  { admin }: Transport,
  name: string,
  otherwise?: string,
): Promise<TopicDescription> {
  // By its name, for a cluster lists only those that this user may see, and says of a named one that he may not.
  const [found] = isTopicName(name) ? await admin.describeTopics([asTopic(name)]) : []
  if (found !== undefined) return found
  const known = (await admin.describeTopics()).map(({ topic }) => topic)
  const meant = nearest(name, known)
  const hint =
    meant === undefined
      ? `there are: ${known.toSorted().join(', ') || 'none yet'}`
      : `did you mean ${meant}?`
  const next =
    otherwise === undefined ? hint : `${hint}${meant === undefined ? '.' : ''} ${otherwise}`
  throw new MillraceError('MILLRACE_UNKNOWN_TOPIC', `there is no topic '${name}'; ${next}`, {
    place: name,
  })
}
