import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { endProcessGroup } from '../process-group.ts'
import { owned } from '../process-owner.ts'

export interface Command {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
}

export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** How long a server may take to end after its input has ended. */
const goodbyeMs = 500

/** How much of stderr is kept: its end. */
const stderrLimit = 4096

/** A child process with all that it starts: they are one process group and end together. */
export class ServerProcess {
  /** Settles when the process runs; rejects when it could not be started. */
  readonly started: Promise<void>
  /** Settles when the process and its group are gone and its pipes are read to their end. */
  readonly ended: Promise<Ending>
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  #stderr = ''

  constructor({ command, args, cwd, env }: Command) {
    this.#child = spawn(command, args, { cwd, env: owned(env), detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
    this.started = new Promise((resolve, reject) => {
      this.#child.once('spawn', resolve)
      this.#child.once('error', reject)
    })
    this.started.catch(() => {})
    this.ended = this.#ending()
    this.#child.stdin.on('error', () => {})
    this.#child.stdout.on('error', () => {})
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-stderrLimit)
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  get stdout(): Readable {
    return this.#child.stdout
  }

  /** The end of what the process said about itself. */
  get stderr(): string {
    return this.#stderr
  }

  /** Settles when the text has left; rejects when the process does not listen any more. */
  write(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#child.stdin.write(text, (error) => (error ? reject(error) : resolve()))
    })
  }

  /** Ends the process, politely first. */
  async stop(): Promise<void> {
    this.#child.stdin.end()
    if (await this.#endsWithin(goodbyeMs)) return
    await this.#endGroup()
    await this.ended
  }

  async #ending(): Promise<Ending> {
    const { promise: closed, resolve: close } = Promise.withResolvers<Ending>()
    const { promise: exited, resolve: exit } = Promise.withResolvers<void>()
    this.#child.once('exit', () => exit())
    this.#child.once('close', (code, signal) => close({ code, signal }))
    await Promise.race([exited, closed])
    await this.#endGroup()
    // A grandchild that left the group may hold the pipes for ever.
    const letGo = setTimeout(() => {
      this.#child.stdout.destroy()
      this.#child.stderr.destroy()
    }, goodbyeMs)
    return await closed.finally(() => clearTimeout(letGo))
  }

  async #endsWithin(ms: number): Promise<boolean> {
    const patience = new AbortController()
    const waiting = delay(ms, false, { signal: patience.signal }).catch(() => false)
    try {
      return await Promise.race([this.ended.then(() => true), waiting])
    } finally {
      patience.abort()
    }
  }

  async #endGroup(): Promise<void> {
    if (this.pid !== undefined) await endProcessGroup(this.pid)
  }
}
