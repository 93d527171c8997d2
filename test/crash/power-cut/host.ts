import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { z } from 'zod'

const Answer = z.object({
  order: z.string(),
  folder: z.string(),
  text: z.string().default(''),
  error: z.string().optional(),
})

/** A process that runs the built program on as many databases as it is told. */
export class Host {
  readonly #process: ChildProcess
  readonly #waiting = new Map<string, PromiseWithResolvers<string>>()
  #complaints = ''

  constructor() {
    const { PATH, HOME } = process.env
    const args = [join(import.meta.dirname, 'host-process.ts')]
    const child = spawn(process.execPath, args, { env: { PATH, HOME }, stdio: ['pipe', 'pipe', 'pipe'] })
    this.#process = child
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints += text
    })
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { order, folder, text, error } = Answer.parse(JSON.parse(line))
      const waiting = this.#waiting.get(`${order}\t${folder}`)
      if (error === undefined) waiting?.resolve(text)
      else waiting?.reject(new Error(error))
    })
    child.once('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the host ended: ${this.#complaints}`))
    })
  }

  /** What went to the log since the last call: nothing, if all is well. */
  complaints(): string {
    const complaints = this.#complaints
    this.#complaints = ''
    return complaints
  }

  /** Starts the program on the database and the agents in a folder. Resolves with where it listens. */
  open(folder: string): Promise<string> {
    return this.#order(`open\t${folder}`)
  }

  async close(folder: string): Promise<void> {
    await this.#order(`close\t${folder}`)
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'close')
    this.#process.kill('SIGKILL')
    await ended
  }

  async #order(line: string): Promise<string> {
    const answer = Promise.withResolvers<string>()
    this.#waiting.set(line, answer)
    this.#process.stdin?.write(`${line}\n`)
    try {
      return await answer.promise
    } finally {
      this.#waiting.delete(line)
    }
  }
}
