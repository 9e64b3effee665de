import { describe, expect, test } from 'vitest'
import {
  decodeAssignmentData,
  decodeJoinData,
  encodeAssignmentData,
  encodeJoinData,
  type AssignmentData,
  type JoinData,
} from '../../runtime/group-user-data.ts'

const join: JoinData = {
  processId: 'p1',
  fingerprint: 'sub-topology 0 reads a ü',
  version: '1.2',
  tasks: [
    { id: '0_1', lag: 0 },
    { id: '1_0', lag: 12_345 },
    { id: '1_1', lag: 10_000, isGuess: true },
  ],
  knownProcesses: ['p1', 'p2'],
  clientAddress: 'host:4000',
  isIdle: true,
}
const assignment: AssignmentData = {
  processes: ['p1'],
  departed: ['p2'],
  standbys: ['0_0'],
  owners: [
    { memberId: 'm1', processId: 'p1', address: 'host:4000', tasks: ['0_1'] },
    { memberId: 'm2', processId: 'p2', tasks: [] },
  ],
  refused: 'because',
  madeFor: {
    memberId: 'm1',
    fingerprint: 'digest',
    partitions: new Map([
      ['a', 3],
      ['ü', 1],
    ]),
    copies: 2,
  },
}

/** A version byte and a text. */
const bytes = (version: number, text: string): Buffer =>
  Buffer.concat([Buffer.of(version), Buffer.from(text)])

describe('what members tell each other', () => {
  test('comes back as it was, with optional parts and without', () => {
    expect(decodeJoinData(encodeJoinData(join), 'm')).toEqual(join)
    const { clientAddress: _, isIdle: ___, ...plain } = join
    expect(decodeJoinData(encodeJoinData(plain), 'm')).toEqual(plain)
    expect(decodeAssignmentData(encodeAssignmentData(assignment))).toEqual(assignment)
    const { refused: __, madeFor, ...older } = assignment
    expect(decodeAssignmentData(encodeAssignmentData(older))).toEqual(older)
    const { memberId = '', fingerprint = '' } = madeFor ?? {}
    const kept = { ...older, madeFor: { memberId, fingerprint } }
    expect(decodeAssignmentData(encodeAssignmentData(kept))).toEqual(kept)
  })

  test('may have fields of a later version that change nothing', () => {
    const text = encodeJoinData(join).toString('utf8', 1)
    const later = bytes(1, text.replace('{', '{"rack":"b",'))
    expect(decodeJoinData(later, 'm')).toEqual(join)
  })

  test.each([
    ['nothing', Buffer.alloc(0), /version none/],
    ['another version', bytes(2, '{}'), /version 2/],
    ['half of it', encodeJoinData(join).subarray(0, 40), /damaged/],
    ['no object', bytes(1, '[]'), /no object/],
    ['a missing field', bytes(1, '{}'), /processId is no text/],
    [
      'a wrong list',
      bytes(1, JSON.stringify({ ...join, tasks: {}, knownProcesses: [1] })),
      /known/,
    ],
    ['a lag below 0', bytes(1, JSON.stringify({ ...join, tasks: { '0_0': -1 } })), /tasks.0_0/],
  ])('is refused where it is %s', (_, data, message) => {
    const decode = (): JoinData => decodeJoinData(data, 'member-7')
    expect(decode).toThrow(message)
    expect(decode).toThrow(/member-7/)
    expect(decode).toThrow(expect.objectContaining({ code: 'MILLRACE_GROUP_DATA_UNREADABLE' }))
    expect(() => decodeAssignmentData(data)).toThrow(/cannot be read/)
  })
})
