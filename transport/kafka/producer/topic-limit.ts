/** What a topic takes at most, asked for only where it refused something. */
import type { Topic } from '../../../model/position.ts'
import { DESCRIBE_CONFIGS } from '../api/describe-configs.ts'
import { isRetriable } from '../limits.ts'
import type { ProducerLink } from './producer-link.ts'

const MAX_MESSAGE_BYTES = 'max.message.bytes'

/** The largest batch that a topic takes, in bytes; undefined where nobody says it, for want of rights or of time. */
export async function topicLimitBytes(
  link: ProducerLink,
  topic: Topic,
  deadlineMs: number,
): Promise<number | undefined> {
  const resources = [{ kind: 'topic', name: topic, settings: [MAX_MESSAGE_BYTES] }] as const
  try {
    const { results } = await link.any([DESCRIBE_CONFIGS, { resources }], { deadlineMs })
    const value = results[0]?.settings.find(({ name }) => name === MAX_MESSAGE_BYTES)?.value
    const bytes = Number(value ?? Number.NaN)
    return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined
  } catch (error) {
    if (isRetriable(error)) return undefined
    throw error
  }
}
