import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

export interface Kill {
  /** SIGCONT does nothing to a process that is not stopped. */
  readonly signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'
  /** When the process has written so many bytes. */
  readonly bytes: number
  /** Then waits a little for the next transaction to be half written. */
  readonly inTransaction: boolean
}

/** What the thread is told. */
export interface Watch extends Kill {
  readonly pid: number
}

/**
 * Sends a signal to a process. Watches it in a thread of its own, so that the moment does not depend on what the clients are
 * doing. Resolves with the bytes written by then; `undefined` when the process had ended.
 */
export async function killAt(pid: number, kill: Kill): Promise<number | undefined> {
  const workerData: Watch = { pid, ...kill }
  const watcher = new Worker(new URL('./kill-thread.ts', import.meta.url), { workerData })
  const [written] = await once(watcher, 'message')
  return written
}
