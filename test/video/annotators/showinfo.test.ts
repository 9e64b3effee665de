import { describe, expect, it } from 'vitest'
import { ShowinfoReader } from '../../../video/annotators/showinfo.ts'

const CONFIG = '[Parsed_showinfo_2 @ 0x55] config in time_base: 1/12800, frame_rate: 25/1\n'

function line(n: number, pts: number | string): string {
  return `[Parsed_showinfo_2 @ 0x55] n:${String(n).padStart(4)} pts:${String(pts).padStart(7)} pts_time:9       pos: 1348 fmt:yuv444p\n`
}

function timesOf(text: string): (number | undefined)[] {
  const reader = new ShowinfoReader()
  reader.push(text)
  const times: (number | undefined)[] = []
  for (let time = reader.take(); time !== undefined; time = reader.take()) times.push(time)
  return times
}

describe('reading the times of frames from showinfo', () => {
  it('counts microseconds from the first frame, by ticks', () => {
    expect(timesOf(CONFIG + line(0, 1024) + line(1, 1536) + line(2, 2048))).toEqual([
      0, 40_000, 80_000,
    ])
  })

  it('is exact in the tenth hour, where six digits are a tenth of a second', () => {
    const config = CONFIG.replace('1/12800', '1/30000')
    const late = 36_000 * 30_000
    expect(timesOf(config + line(0, 0) + line(1, late) + line(2, late + 1001))).toEqual([
      0, 36_000_000_000, 36_000_033_367,
    ])
  })

  it('puts lines together that come in pieces', () => {
    const reader = new ShowinfoReader()
    for (const character of CONFIG + line(0, 0) + line(1, 512)) reader.push(character)
    expect([reader.take(), reader.take(), reader.take()]).toEqual([0, 40_000, undefined])
  })

  it('does not believe the text of a video that looks like a line about a frame', () => {
    const forged = `    title           : ${line(0, 777)}`
    expect(timesOf(CONFIG + forged + line(0, 0))).toEqual([0])
  })

  it('goes on from the frame before where a frame has no time', () => {
    expect(timesOf(CONFIG + line(0, 0) + line(1, 256) + line(2, 'NOPTS') + line(3, 768))).toEqual([
      0, 20_000, 40_000, 60_000,
    ])
  })

  it('never goes back in time', () => {
    expect(timesOf(CONFIG + line(0, 0) + line(1, 512) + line(2, 256) + line(3, 1024))).toEqual([
      0, 40_000, 40_001, 80_000,
    ])
  })

  it('keeps the first frame where it was when the filters are built anew with other ticks', () => {
    const other = CONFIG.replace('1/12800', '1/25600')
    expect(timesOf(CONFIG + line(0, 512) + line(1, 1024) + other + line(0, 3072))).toEqual([
      0, 40_000, 80_000,
    ])
  })

  it('remembers what ffmpeg says besides, for the error', () => {
    const reader = new ShowinfoReader()
    reader.push(`${CONFIG}${line(0, 0)}pipe:0: Invalid data\n`)
    expect(reader.said).toBe('pipe:0: Invalid data')
  })
})
