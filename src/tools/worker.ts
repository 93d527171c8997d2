import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { CallFailure } from './result.ts'

const maxMegabytes = 512

interface Job {
  /** The worker's file in this folder, without its extension. */
  readonly name: string
  readonly input: unknown
  readonly timeoutMs: number
  readonly signal: AbortSignal
  hear(message: unknown): void
}

/**
 * Does work beside the main thread that may take too long or too much memory, and stops it then; `done` or `late`.
 * Throws the signal's reason, or a `CallFailure` when the work failed.
 */
export async function runWorker({ name, input, timeoutMs, signal, hear }: Job): Promise<'done' | 'late'> {
  signal.throwIfAborted()
  // The compiler does not rewrite this name, so it takes the extension of the file that it stands in.
  const file = new URL(`./${name}${extname(import.meta.url)}`, import.meta.url)
  const worker = new Worker(file, { workerData: input, resourceLimits: { maxOldGenerationSizeMb: maxMegabytes } })
  const { promise, resolve, reject } = Promise.withResolvers<'done' | 'late'>()
  const leave = () => reject(signal.reason)
  const timer = setTimeout(() => resolve('late'), timeoutMs)
  signal.addEventListener('abort', leave, { once: true })
  worker.on('message', hear)
  worker.on('error', (error) => reject(new CallFailure(`The work failed: ${error.message}`)))
  worker.on('exit', () => resolve('done'))
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', leave)
    await worker.terminate()
  }
}
