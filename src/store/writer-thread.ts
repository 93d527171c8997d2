import { parentPort, workerData } from 'node:worker_threads'
import { codeOf, severityOf } from './sqlite-error.ts'
import { Writer } from './writer.ts'
import type { Answer, Ask, LongAsk } from './writer-link.ts'

/** Long work that goes on in small steps between batches. */
interface Job {
  readonly id: number | undefined
  readonly steps: Generator<void, number>
}

const probeInterval = 1000

/** What the thread does with what it is asked: batches at once, long work in steps between them. */
class WriterThread {
  readonly #writer: Writer
  readonly #tell: (answer: Answer) => void
  readonly #jobs: Job[] = []
  #pumping = false
  #probe: NodeJS.Timeout | undefined

  constructor(path: string, tell: (answer: Answer) => void) {
    this.#tell = tell
    this.#writer = new Writer(path)
    this.#start({ id: undefined, steps: this.#writer.cleaner.sweep() })
  }

  take(ask: Ask): void {
    if (ask.kind === 'commit') this.#commit(ask)
    else this.#start({ id: ask.id, steps: this.#stepsOf(ask) })
  }

  close(): void {
    clearInterval(this.#probe)
    this.#jobs.length = 0
    this.#writer.close()
  }

  #commit({ groups }: Ask & { kind: 'commit' }): void {
    try {
      const codes = this.#writer.commit(groups)
      this.#tell({ kind: 'committed', codes })
    } catch (error) {
      const code = this.#suffer(error)
      this.#tell({ kind: 'committed', codes: groups.map(() => code) })
      return
    }
    this.#tidy()
    if (groups.some(({ rows }) => rows.some(({ kind }) => kind === 'session.delete'))) {
      this.#start({ id: undefined, steps: this.#writer.cleaner.sweep() })
    }
  }

  /** What was committed stays so when this fails; the next commit will tell. */
  #tidy(): void {
    try {
      this.#writer.tidy()
    } catch (error) {
      this.#suffer(error)
    }
  }

  #stepsOf(ask: LongAsk): Generator<void, number> {
    switch (ask.kind) {
      case 'retain':
        return this.#writer.cleaner.retain(ask.policy)
      case 'retain_fleet':
        return this.#writer.cleaner.retainFleet(ask.policy)
      case 'thin':
        return this.#writer.cleaner.thin(ask.before)
      case 'forget_records':
        return this.#writer.cleaner.forgetRecords(ask.before)
      case 'forget_keys':
        return this.#writer.cleaner.forgetKeys(ask.before)
    }
  }

  #start(job: Job): void {
    this.#jobs.push(job)
    this.#pump()
  }

  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    setImmediate(() => {
      this.#pumping = false
      const job = this.#jobs[0]
      if (job !== undefined && this.#finishes(job)) this.#jobs.shift()
      if (this.#jobs.length > 0) this.#pump()
    })
  }

  #finishes({ id, steps }: Job): boolean {
    try {
      const step = steps.next()
      if (step.done === true && id !== undefined) this.#tell({ kind: 'counted', id, count: step.value })
      return step.done === true
    } catch (error) {
      const code = codeOf(error)
      if (severityOf(code) !== 'statement') this.#suffer(error)
      if (id !== undefined) this.#tell({ kind: 'uncounted', id, code })
      return true
    }
  }

  #suffer(error: unknown): string {
    const code = codeOf(error)
    if (severityOf(code) === 'fatal') this.#tell({ kind: 'fatal', code })
    else if (this.#probe === undefined) {
      this.#tell({ kind: 'unwritable', code })
      this.#probe = setInterval(() => this.#tryAgain(), probeInterval)
      this.#probe.unref()
    }
    return code
  }

  #tryAgain(): void {
    try {
      this.#writer.probe()
      this.#recover()
    } catch (error) {
      this.#suffer(error)
    }
  }

  #recover(): void {
    if (this.#probe === undefined) return
    clearInterval(this.#probe)
    this.#probe = undefined
    this.#tell({ kind: 'writable' })
    this.#start({ id: undefined, steps: this.#writer.cleaner.sweep() })
  }
}

const port = parentPort
if (port === null) throw new Error('the writer runs in a thread of its own')
const path = String(workerData)
const thread = new WriterThread(path, (answer) => port.postMessage(answer))
port.on('message', (ask: Ask | { kind: 'close' }) => {
  if (ask.kind !== 'close') {
    thread.take(ask)
    return
  }
  thread.close()
  port.close()
})
port.postMessage({ kind: 'ready' } satisfies Answer)
