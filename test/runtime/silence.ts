import type { Faults } from '../../transport/memory/faults.ts'

/** A process whose signs of life the log refuses while `isSilent` is set. */
export interface Silence extends Faults {
  isSilent: boolean
}

/** The silence of the process with this connection. */
export function silenceOf(connection: string): Silence {
  const silence: Silence = {
    isSilent: false,
    decide: (operation) =>
      silence.isSilent && operation.connection === connection && operation.kind === 'heartbeat'
        ? { outcome: 'refused' }
        : undefined,
  }
  return silence
}
