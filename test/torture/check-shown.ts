import { isDeepStrictEqual } from 'node:util'
import { eventOf, type Frame } from '../crash/frames.ts'
import type { Fail } from './circumstances.ts'
import type { LogDiary } from './log-diary.ts'

/** Every frame that anybody saw is there, byte for byte and under its seq; also the beginnings of frames. */
export function checkShown(diary: LogDiary, frames: readonly Frame[], fail: Fail): void {
  frames.forEach(({ seq }, index) => {
    if (seq !== index + 1) fail(`the replay has ${seq} at place ${index + 1}`)
  })
  for (const [seq, bytes] of diary.frames) {
    const now = frames[seq - 1]?.bytes
    if (now !== bytes) fail(`seq ${seq} was shown as ${bytes} and is ${now}`)
  }
  for (const { seq, bytes } of diary.torn) {
    const now = frames[seq - 1]?.bytes
    if (!now?.startsWith(bytes)) fail(`seq ${seq} began as ${bytes} and is ${now}`)
  }
  for (const { seq, event } of diary.pages) {
    const frame = frames[seq - 1]
    if (frame === undefined || !isDeepStrictEqual(eventOf(frame), event)) fail(`a page showed another event at ${seq}`)
  }
  diary.torn.length = 0
  diary.pages.length = 0
}
