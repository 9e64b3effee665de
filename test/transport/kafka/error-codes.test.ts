import { describe, expect, test } from 'vitest'
import { CODE, errorKind, errorName, refused } from '../../../transport/kafka/error-codes.ts'

describe('the codes of Kafka', () => {
  test('that are named here are those of Kafka’s table', () => {
    const snake = (name: string): string => name.replace(/[A-Z]/g, '_$&').toUpperCase()
    const { none, ...named } = CODE
    expect(none).toBe(0)
    const other = Object.entries(named).filter(([name, code]) => errorName(code) !== snake(name))
    expect(other.map(([name, code]) => [name, errorName(code)])).toEqual([
      ['invalidTopic', 'INVALID_TOPIC_EXCEPTION'],
      ['outOfOrderSequence', 'OUT_OF_ORDER_SEQUENCE_NUMBER'],
      ['duplicateSequence', 'DUPLICATE_SEQUENCE_NUMBER'],
      ['storageError', 'KAFKA_STORAGE_ERROR'],
    ])
  })

  test.each([
    [CODE.notLeaderOrFollower, 'retriable'],
    [CODE.unstableOffsetCommit, 'retriable'],
    [CODE.concurrentTransactions, 'retriable'],
    [CODE.transactionAbortable, 'abortable'],
    [CODE.illegalGeneration, 'abortable'],
    [CODE.producerFenced, 'fenced'],
    [CODE.invalidProducerEpoch, 'fenced'],
    [CODE.topicAuthorizationFailed, 'fatal'],
    [9999, 'fatal'],
  ])('%d is %s', (code, kind) => {
    expect(errorKind(code)).toBe(kind)
  })

  test('become an error with request, place, name and remedy', () => {
    const at = { api: 'CreateTopics', place: 'topic t' }
    expect(refused(CODE.notController, { ...at, detail: 'not me.' })).toMatchObject({
      code: 'MILLRACE_KAFKA_REFUSED',
      kind: 'retriable',
      place: 'topic t',
      message:
        'Kafka refused CreateTopics for topic t with NOT_CONTROLLER (41): not me. It may succeed when it is tried again.',
    })
    expect(refused(CODE.topicAuthorizationFailed, at)).toMatchObject({
      code: 'MILLRACE_KAFKA_NOT_AUTHORIZED',
      kind: 'fatal',
      isAccess: true,
    })
    expect(refused(9999, at)).toMatchObject({ isAccess: false })
    expect(refused(9999, at).message).toContain('error 9999')
  })

  test.each([
    [CODE.topicAuthorizationFailed, 'Produce', 't.a[3]', '--operation Write --topic t.a'],
    [CODE.topicAuthorizationFailed, 'Metadata', 'topic t', '--operation Describe --topic t'],
    [CODE.groupAuthorizationFailed, 'JoinGroup', 'group g[1]', '--operation Read --group g[1]'],
    [
      CODE.transactionalIdAuthorizationFailed,
      'InitProducerId',
      'transaction t-0',
      '--operation Write --transactional-id t-0',
    ],
    [CODE.clusterAuthorizationFailed, 'CreateTopics', 'topic t', '--operation Create --cluster'],
  ])('that say that a right is missing (%d, %s) have the whole line', (code, api, place, line) => {
    expect(refused(code, { api, place }).message).toContain(
      `(kafka-acls.sh --add ${line} --allow-principal User:NAME), or connect as another.`,
    )
  })
})
