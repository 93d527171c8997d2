import { chmod, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ulid } from 'ulid'
import { makeFolders } from './folders.ts'

const queues = new Map<string, Promise<unknown>>()

/**
 * Writes a file as a whole or not at all: who reads it sees the old text or the new one. An old file's mode is kept, also
 * while the new text is written, and folders that are missing are made.
 */
export async function writeAtomically(path: string, text: string, signal: AbortSignal): Promise<void> {
  const mode = (await stat(path).catch(() => undefined))?.mode
  makeFolders(dirname(path))
  const draft = join(dirname(path), `.quarterdeck-${ulid()}`)
  try {
    await writeFile(draft, text, { signal, flag: 'wx', mode: mode === undefined ? 0o666 : 0o600 })
    if (mode !== undefined) await chmod(draft, mode & 0o7777)
    signal.throwIfAborted()
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

/**
 * Does work on a file when nobody else in this process does: a model's calls run side by side, and of two edits that
 * began with the same text one would be lost.
 */
export async function alone<T>(path: string, work: () => Promise<T>): Promise<T> {
  const turn = (queues.get(path) ?? Promise.resolve()).then(work)
  const over = turn.then(
    () => {},
    () => {},
  )
  queues.set(path, over)
  try {
    return await turn
  } finally {
    if (queues.get(path) === over) queues.delete(path)
  }
}
