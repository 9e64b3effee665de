/** The clip of most tests here: seven shots in eight seconds, made once a test file. */
import type { AnnotatedClip } from '../../../video/annotators/conformance.ts'
import { makeClip, type Clip } from './clips.ts'

let made: Promise<Clip> | undefined

/** 216 frames, 7 shots, some 600 KB. */
export function smallClip(): Promise<Clip & AnnotatedClip> {
  made ??= makeClip([25, 30, 26, 40, 12, 50, 33], { bitrate: '600k' })
  return made
}
