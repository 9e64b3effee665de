import { describe, it } from 'vitest'
import { annotatorConformance } from '../../../video/annotators/conformance.ts'
import { instant } from '../../../video/annotators/instant.ts'

describe('the instant annotator', () => {
  annotatorConformance(
    {
      open: async () => ({ annotator: instant(), [Symbol.asyncDispose]: async () => {} }),
      clip: async () => ({ bytes: Buffer.alloc(100_000, 'any bytes'), shots: [], frameUs: 0 }),
      looks: false,
      onSkip: (title, reason) => console.info(`left out, because ${reason}: ${title}`),
    },
    it,
  )
})
