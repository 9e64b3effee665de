import { inject } from 'vitest'
import { testLateRequests } from './late-cases.ts'

testLateRequests(() => inject('kafkaBrokers'), 2)
