import { describe, expect, test } from 'vitest'
import { assignmentOf, type ShareOptions } from '../../cli/process-share.ts'
import { runCommand } from '../../cli/run.ts'

const NOTHING: ShareOptions = {
  partition: undefined,
  of: undefined,
  group: false,
  instance: undefined,
  standbys: undefined,
}

function shareOf(
  options: Partial<ShareOptions>,
  {
    environment = {},
    hostName = 'laptop',
  }: { environment?: Record<string, string>; hostName?: string } = {},
) {
  return assignmentOf({ ...NOTHING, ...options }, { environment, hostName })
}

describe('the share of a process', () => {
  test('is everything where nothing is said', () => {
    expect(shareOf({})).toEqual({ kind: 'static' })
  })

  test.each([
    ['videos-0', 0],
    ['videos-12', 12],
    ['my-videos-3.my-videos.default.svc.cluster.local', 3],
  ])('is the number at the end of the name of its host: %s', (hostName, unit) => {
    expect(shareOf({ partition: 'host', of: 20 }, { hostName })).toEqual({
      kind: 'static',
      units: [unit],
      of: 20,
    })
  })

  test.each(['videos', 'videos-', 'videos-7f9c4d-x2x', 'v.example-3', 'videos-1234567'])(
    'is refused where the name of the host has no number: %s',
    (hostName) => {
      expect(() => shareOf({ partition: 'host' }, { hostName })).toThrow(
        `this host is '${hostName}'`,
      )
    },
  )

  test('comes from the environment where the command line leaves it out', () => {
    const environment = { MILLRACE_PARTITION: '0-1', MILLRACE_OF: '4' }
    expect(shareOf({}, { environment })).toEqual({ kind: 'static', units: [0, 1], of: 4 })
    expect(shareOf({ partition: [3] }, { environment })).toMatchObject({ units: [3] })
    const host = { environment: { MILLRACE_PARTITION: 'host' }, hostName: 'videos-2' }
    expect(shareOf({}, host)).toEqual({ kind: 'static', units: [2] })
    expect(() => shareOf({}, { environment: { MILLRACE_PARTITION: 'all' } })).toThrow(
      'MILLRACE_PARTITION takes a partition such as 0',
    )
  })

  test('is agreed on in a group, which is told none', () => {
    expect(shareOf({ group: true, standbys: 1 })).toEqual({ kind: 'group', standbys: 1 })
    expect(() => shareOf({ group: true, partition: 'host' })).toThrow('leave --partition')
    expect(() => shareOf({ standbys: 1 })).toThrow('--instance and --standbys need --group')
  })
  test.each(['a b', '.', '..', 'pod/0', '', 'x'.repeat(250)])(
    'has no instance name that Kafka refuses: %j',
    (name) => {
      const args = ['p.ts', '--embedded', 'data', '--group', '--instance', name]
      expect(() => runCommand.prepare(args)).toThrow('--instance takes a name of 1 to 249 letters')
    },
  )

  test('has an instance name such as hosts have', () => {
    const args = ['p.ts', '--embedded', 'data', '--group', '--instance', 'pod-0.videos_a']
    expect(() => runCommand.prepare(args)).not.toThrow()
  })
})
