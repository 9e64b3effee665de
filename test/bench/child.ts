/** One run of one variant, in a process of its own; its readings go to the parent as a message. */
import type { BenchPlace } from './bench-case.ts'
import { CASES } from './cases.ts'
import { measured, type Measured } from './measure.ts'

/** What a child is told to do. */
export interface ChildTask {
  readonly benchCase: string
  readonly variant: string
  readonly half: 'prepare' | 'run'
  readonly place: BenchPlace
}

/** What it answers: nothing from a preparation. */
export interface ChildAnswer {
  readonly measured?: Measured
}

process.once('message', (task: ChildTask) => {
  void perform(task).then((answer) => {
    process.send?.(answer, () => process.disconnect())
  })
})

async function perform({ benchCase, variant: name, half, place }: ChildTask): Promise<ChildAnswer> {
  const variant = CASES.find((one) => one.name === benchCase)?.variants.find(
    (one) => one.name === name,
  )
  if (variant === undefined) throw new Error(`no variant ${name} in ${benchCase}`)
  if (half === 'prepare') {
    await variant.prepare?.(place)
    return {}
  }
  let reading: Measured | undefined
  await variant.run(place, async (work) => {
    reading = await measured(work)
  })
  return reading === undefined ? {} : { measured: reading }
}
