/** Makes the commit units of a process: one for each partition that it was told, or one for its share of a group. */
import { createHash } from 'node:crypto'
import { isMillraceError } from '../model/errors.ts'
import { openStateDirectory } from '../state/directory.ts'
import type { StateHome } from '../state/home.ts'
import { topologyFingerprint } from '../topology/fingerprint.ts'
import type { Topology } from '../topology/graph.ts'
import { assignStatically, type GroupAssignment, type StaticAssignment } from './assignment.ts'
import type { Guarantee, StreamsOptions } from './config.ts'
import { GroupShare, groupTransactionalId } from './group-share.ts'
import type { AppServices } from './services.ts'
import { StaticShare } from './share.ts'
import { CommitUnit, type UnitParts } from './unit.ts'

/** What units are made of. */
export interface MakeUnits {
  readonly application: string
  readonly options: StreamsOptions
  readonly services: AppServices
  readonly guarantee: Guarantee
  readonly onSettled: () => void
}

/** Processes of one group that may share a state folder: each takes a folder of its own in it. */
const MAX_PROCESSES_A_FOLDER = 256

/** The units of this process. Rejects nothing; a unit opens what it needs when it runs. */
export function makeUnits(request: MakeUnits): readonly CommitUnit[] {
  const assignment = request.options.assignment ?? { kind: 'static' }
  return assignment.kind === 'group'
    ? [groupUnit(request, assignment)]
    : staticUnits(request, assignment)
}

function staticUnits(request: MakeUnits, assignment: StaticAssignment): readonly CommitUnit[] {
  const { application, services } = request
  const { subtopologies } = services.open.topology
  return assignStatically({
    application,
    subtopologies,
    partitionCount: ({ sourceTopics }) => Math.max(...sourceTopics.map(services.partitionsOf)),
    assignment,
  }).map(({ unit, of, transactionalId, tasks }) =>
    unitOf(request, {
      unit,
      mode: 'static',
      openState: async () => await openState(request, `${unit}-of-${of}`),
      openShare: async () => new StaticShare(application, tasks),
      transactionalId: () => transactionalId,
    }),
  )
}

function groupUnit(request: MakeUnits, assignment: GroupAssignment): CommitUnit {
  const { application, options, services } = request
  const { topology } = services.open
  const { version = '' } = assignment
  return unitOf(request, {
    unit: 0,
    mode: 'group',
    openState: async () => await openFreeState(request),
    transactionalId: ({ processId }) => groupTransactionalId(application, processId),
    openShare: async (home) =>
      new GroupShare({
        openMembership: (membership) => options.transport.openMembership(membership),
        application,
        subtopologies: topology.subtopologies,
        partitionsOf: services.partitionsOf,
        fingerprint: fingerprintOf(topology, version),
        version,
        address: assignment.address,
        processId: home.processId,
        instanceId: assignment.instanceId,
        standbys: assignment.standbys ?? 0,
        tasksOnDisk: async () => await home.tasks(),
        onNotice: (message) => services.onEvent({ kind: 'notice', message }),
        clock: options.clock,
        limits: services.limits,
      }),
  })
}

/** What the processes of a group must have in common. */
function fingerprintOf(topology: Topology, version: string): string {
  const hash = createHash('sha256').update(topologyFingerprint(topology))
  return (version === '' ? hash : hash.update(`\nversion ${version}`)).digest('hex')
}

function unitOf(
  request: MakeUnits,
  parts: Pick<UnitParts, 'unit' | 'mode' | 'openState' | 'openShare' | 'transactionalId'>,
): CommitUnit {
  const { options, services, guarantee, onSettled } = request
  const { transport, steps, adopt } = options
  return new CommitUnit(
    {
      ...parts,
      services,
      transport,
      guarantee,
      adopt: adopt ?? false,
      steps,
    },
    onSettled,
  )
}

/** The first folder of the application that no other process of this machine uses. */
async function openFreeState(request: MakeUnits): Promise<StateHome> {
  for (let i = 0; ; i += 1) {
    try {
      return await openState(request, `process-${i}`)
    } catch (error) {
      const isTaken = isMillraceError(error, 'MILLRACE_STATE_IN_USE')
      if (!isTaken || i + 1 >= MAX_PROCESSES_A_FOLDER) throw error
    }
  }
}

async function openState(request: MakeUnits, unit: string): Promise<StateHome> {
  const { application, options, services } = request
  const { state, clock } = options
  if (state.kind === 'given') return await state.open(unit)
  return await openStateDirectory({
    stateDir: state.folder,
    applicationId: application,
    unit,
    fingerprint: topologyFingerprint(services.open.topology),
    clock,
  })
}
