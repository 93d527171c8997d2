import { parentPort, workerData } from 'node:worker_threads'
import type { Watch } from './kill.ts'
import { writtenBy } from './written.ts'

/** Between two looks; nothing wakes anybody when a process has written its n-th byte. */
const lookEveryMs = 0.5
/** How long to wait without a pause for a transaction to be under way. */
const patienceMs = 100
/** SQLite writes a page to its log in two pieces. */
const piece = { header: 24, page: 4096 } as const

const { pid, bytes, signal, inTransaction }: Watch = workerData
const nothing = new Int32Array(new SharedArrayBuffer(4))

let written = writtenBy(pid)
while (written !== undefined && written < bytes) {
  Atomics.wait(nothing, 0, 0, lookEveryMs)
  written = writtenBy(pid)
}
const deadline = performance.now() + (inTransaction ? patienceMs : 0)
while (written !== undefined && performance.now() < deadline) {
  const before = written
  written = writtenBy(pid)
  if (written !== undefined && isWritingPages(written - before)) break
}
if (written !== undefined) process.kill(pid, signal)
parentPort?.postMessage(written)

function isWritingPages(bytes: number): boolean {
  const rest = bytes % (piece.header + piece.page)
  return bytes > 0 && (rest === 0 || rest === piece.header || rest === piece.page)
}
