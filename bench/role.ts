import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import type { Question } from './meter.ts'

export const root = resolve(import.meta.dirname, '..')

/** Milliseconds for a process to end in order. */
const grace = 10_000

const Answer = z.object({ id: z.number(), answer: z.unknown() })

export interface RoleOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Folder for a profile of the processor time, written when the process ends. */
  readonly profile?: string | undefined
}

/** A process that plays a part in a bench: a server, its reference, the model's provider. Ends when it is disposed. */
export class Role implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  /** Where it says that it listens; rejects when it ends without having said so. */
  readonly url: Promise<string>
  #lastId = 0
  #output = ''

  /** Starts a script of the repository. Of the environment it sees PATH, HOME and what is given. */
  constructor(script: string, args: readonly string[] = [], { env = {}, profile }: RoleOptions = {}) {
    const { PATH, HOME } = process.env
    const profiling = profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', profile]
    const meter = ['--import', join(root, 'bench/meter.ts')]
    this.#child = spawn(process.execPath, [...profiling, ...meter, join(root, script), ...args], {
      env: { PATH, HOME, ...env },
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    this.#exited = once(this.#child, 'exit')
    const url = Promise.withResolvers<string>()
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text
      const address = /listens on (\S+)\n/.exec(this.#output)?.[1]
      if (address !== undefined) url.resolve(address)
    })
    this.#child.on('message', (message) => this.#hear(message))
    this.#exited.then(() => this.#mourn(script, url))
    this.url = url.promise
    this.url.catch(() => {})
  }

  /** Asks the process; see `meter.ts` for who answers. Rejects when the process ends first. */
  async ask<T>(question: string, schema: z.ZodType<T>, about?: unknown): Promise<T> {
    const id = ++this.#lastId
    const answer = Promise.withResolvers<unknown>()
    answer.promise.catch(() => {})
    this.#waiting.set(id, answer)
    this.#child.send({ id, question, about } satisfies Question)
    return schema.parse(await answer.promise)
  }

  /** Microseconds of processor time so far, all threads and the system's work for them. */
  cpu(): Promise<number> {
    return this.ask('cpu', z.number())
  }

  /** Bytes of memory that are resident now. */
  memory(): Promise<number> {
    return this.ask('memory', z.number())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const late = setTimeout(() => this.#child.kill('SIGKILL'), grace)
    this.#child.kill('SIGTERM')
    await this.#exited
    clearTimeout(late)
  }

  #hear(message: unknown): void {
    const { id, answer } = Answer.parse(message)
    this.#waiting.get(id)?.resolve(answer)
    this.#waiting.delete(id)
  }

  #mourn(script: string, url: PromiseWithResolvers<string>): void {
    const cause = new Error(`${script} ended`)
    url.reject(cause)
    for (const { reject } of this.#waiting.values()) reject(cause)
  }
}
