import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../crash/random.ts'
import { writeAgents } from './agents.ts'
import type { Behaviour } from './behaviour.ts'
import { checkGone, checkSession, checkSessions } from './check.ts'
import { checkFleet, settleFleet } from './check-fleet.ts'
import { Client } from './client.ts'
import { Complaint, must } from './complaint.ts'
import { Counter } from './counter.ts'
import { Diary } from './diary.ts'
import { chooseFault, type Fault, inflict } from './fault.ts'
import type { Figures } from './figures.ts'
import { Life } from './life.ts'
import type { LogDiary } from './log-diary.ts'
import { readFrames } from './look.ts'
import { awaitEnds, endAll } from './processes.ts'
import { Reader } from './reader.ts'
import type { SessionDiary } from './session-diary.ts'
import { settle } from './settle.ts'
import type { Stage } from './voice.ts'
import type { Wire } from './wire.ts'

/** No round takes as long. */
const patienceMs = 180_000
/** Sessions that are talked to in one round, besides those that are made in it. */
const oldSessions = 4
const readersPerLog = 2

export interface WorldOptions {
  readonly program: string
  /** Must not exist. */
  readonly folder: string
  /** Unlike that of every other world. */
  readonly name: string
  readonly random: Random
  readonly behaviour: Behaviour
  readonly figures: Figures
}

/**
 * Servers on one database, one after the other. Each first goes on with what its predecessors left, until everything rests and
 * is as clients were told; then it works under load until it ends.
 */
export class World {
  readonly #options: WorldOptions
  readonly #diary = new Diary()
  readonly #readers = new Map<LogDiary, readonly Reader[]>()
  /** Sessions that were talked to since they were checked. */
  readonly #touched = new Set<SessionDiary>()
  readonly #story: string[] = []
  #counter: Counter | undefined
  #life: Life | undefined
  #lives = 0

  constructor(options: WorldOptions) {
    this.#options = options
  }

  /** What happened to the servers, and what clients saw of a session. */
  story(session: string | undefined): readonly string[] {
    const notes = session === undefined ? [] : (this.#diary.find(session)?.notes ?? [])
    return [...this.#story, ...(this.#life === undefined ? [] : [this.#life.stderr()]), ...notes]
  }

  /** Plays so many rounds under load, calling back after each, and then lets everything come to its end. */
  async play(rounds: number, onRound: () => void): Promise<void> {
    const { folder, name, random } = this.#options
    mkdirSync(folder)
    const counter = await Counter.open(folder, random)
    this.#counter = counter
    try {
      writeAgents(join(folder, 'agents'), counter)
      for (let played = 0; played < rounds; ) {
        if (!(await this.#inTime(this.#round()))) continue
        played += 1
        onRound()
      }
      await this.#inTime(this.#last())
      this.#count(counter)
    } finally {
      endAll(name)
      counter.close()
    }
  }

  /** Complains when something takes too long, whatever it is. */
  async #inTime<T>(work: Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(
      () => late.reject(new Complaint(`nothing has come of a round in ${patienceMs} ms`)),
      patienceMs,
    )
    return Promise.race([work, late.promise]).finally(() => clearTimeout(timer))
  }

  #tell(text: string): void {
    this.#story.push(`${new Date().toISOString().slice(14)} ${text}`)
  }

  #start(grace: string, asks = false): Life {
    const { program, folder, name, behaviour } = this.#options
    this.#lives += 1
    const life = new Life({
      program,
      folder,
      name: `${name}-${this.#lives}`,
      flags: ['--shutdown-grace', grace, ...behaviour.flags, ...(asks ? ['--recovery', 'ask'] : [])],
    })
    this.#life = life
    return life
  }

  /** Answers whether the server lived to see any load. */
  async #round(): Promise<boolean> {
    const { random, figures, behaviour } = this.#options
    const fault = chooseFault(random)
    const asks = behaviour.asks && random.chance(0.2)
    const life = this.#start(random.chance(0.5) ? '1s' : '4s', asks)
    this.#tell(`${life.name} (${life.pid})${asks ? ' asks' : ''}: ${JSON.stringify(fault)}`)
    let inflicting = fault.atStart ? this.#inflict(fault, life) : undefined
    const wire = await life.listening()
    this.#tell(`${life.name} listens`)
    if (wire === undefined) figures.endedAtStart += 1
    else {
      this.#watch(life, this.#diary.fleet)
      // Whoever looks at a session makes the server open it: what was left must go on without.
      if (!fault.atStart && random.chance(0.5)) await settleFleet(wire)
      const cast = [...this.#diary.alive.slice(-oldSessions)]
      for (const session of cast) this.#watch(life, session)
      if (!fault.atStart && random.chance(0.85)) await this.#check(life)
      inflicting ??= this.#inflict(fault, life)
      for (const session of cast) this.#touched.add(session)
      const stage = this.#stage(life, (session) => {
        cast.push(session)
        this.#touched.add(session)
        this.#watch(life, session)
      })
      this.#tell(`${life.name} is under load`)
      await life.load(stage, cast)
      this.#tell(`${life.name} has no clients any more`)
      figures.requests += wire.requests
      figures.unanswered += wire.unanswered
      figures.replays += wire.replays
      figures.rounds += 1
    }
    await inflicting
    this.#tell(`${life.name} has had its last signal`)
    await this.#end(life, fault.end)
    return wire !== undefined
  }

  async #inflict(fault: Fault, life: Life): Promise<void> {
    const { random, figures } = this.#options
    if (fault.freeze !== undefined) figures.freezes += 1
    await inflict(fault, life, random, {
      cutAll: () => life.cutAll(),
      note: (text) => this.#tell(`${life.name}: ${text}`),
    })
  }

  async #end(life: Life, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const { figures } = this.#options
    await life.ended(signal)
    this.#tell(`${life.name} has ended`)
    if (signal === 'SIGKILL') figures.kills += 1
    else {
      figures.terminations += 1
      await awaitEnds(this.#options.name)
    }
    this.#counter?.read()
  }

  #stage({ wire, over }: Life, onCreated: Stage['onCreated']): Stage {
    return { wire, over, diary: this.#diary, random: this.#options.random, onCreated }
  }

  #watch(life: Life, log: LogDiary): void {
    const readers = this.#readers.get(log) ?? Array.from({ length: readersPerLog }, () => new Reader(log))
    this.#readers.set(log, readers)
    for (const reader of readers) life.read(reader, this.#options.random)
  }

  /** Checks what the rounds since the last check have touched, once it rests. */
  async #check(life: Life, isLast = false): Promise<void> {
    const { behaviour, random } = this.#options
    const { wire } = life
    await checkSessions(wire, this.#diary)
    const sessions = isLast ? this.#diary.sessions : [...this.#touched]
    this.#touched.clear()
    await Promise.all(sessions.map((session) => settle(wire, session)))
    await awaitEnds(this.#options.name, life)
    await checkFleet(wire, this.#diary)
    await Promise.all(
      sessions.map(async (session) => {
        if (session.deletion === 'told') return checkGone(wire, session)
        const effects = this.#counter?.read() ?? new Map()
        const cursors = (this.#readers.get(session) ?? []).map(({ cursor }) => cursor)
        await checkSession(wire, session, { behaviour, effects, isLast }, random.pick(cursors) ?? 0)
      }),
    )
  }

  /** Answers what is asked, runs each session once more so that nothing waits, and checks everything. */
  async #last(): Promise<void> {
    const life = this.#start('4s')
    const wire = await life.listening()
    must(wire !== undefined, `the server does not start: ${life.stderr()}`)
    await settleFleet(wire)
    this.#watch(life, this.#diary.fleet)
    await this.#check(life)
    const client = new Client(this.#stage(life, () => {}))
    await Promise.all(this.#diary.alive.map((session) => this.#finish(life, client, session)))
    await this.#check(life, true)
    life.kill('SIGTERM')
    await this.#end(life, 'SIGTERM')
  }

  async #finish(life: Life, client: Client, session: SessionDiary): Promise<void> {
    this.#watch(life, session)
    await showAll(life.wire, session)
    // Again when a connection was cut before the server had read what it was to do.
    while ([...session.queue.values()].some(({ held_by }) => held_by === 'client')) {
      await client.release(session)
      await showAll(life.wire, session)
    }
    await this.#approveAll(life, client, session)
    const { outcome, status, text } = await client.finish(session)
    if (outcome !== 'accepted') throw session.complaint(`it is stuck: a run was answered ${status} ${text}`)
    // That run has released what was held, and of this some starts a run of its own.
    await this.#approveAll(life, client, session)
  }

  async #approveAll({ wire }: Life, client: Client, session: SessionDiary): Promise<void> {
    while ((await settle(wire, session)) === 'waiting') {
      await showAll(wire, session)
      await Promise.all([...session.open.keys()].map((id) => client.judge(session, id, true)))
    }
  }

  #count(counter: Counter): void {
    const { figures } = this.#options
    for (const { frames, verdicts, inputs } of this.#diary.sessions) {
      figures.sessions += 1
      figures.events += frames.size
      figures.taken += inputs.filter(({ taken }) => taken === 'told').length
      figures.edited += inputs.filter(({ texts: [first], text }) => !text.values.includes(first ?? '')).length
      figures.answers += verdicts.filter(({ outcome }) => outcome === 'accepted').length
      for (const frame of frames.values()) {
        if (frame.includes('"type":"stream_started"')) figures.runs += 1
        if (frame.includes('"type":"stream_stopped"') && frame.includes('"reason":"interrupted"'))
          figures.interrupted += 1
        if (frame.includes('"type":"run_recovered"')) figures.recovered += 1
        if (frame.includes('"type":"run_rolled_back"')) figures.rolledBack += 1
        if (frame.includes('"type":"sub_session_completed"')) figures.tasks += 1
        if (frame.includes('"type":"request_opened"')) figures.questions += 1
      }
    }
    for (const times of counter.read().values()) {
      figures.effects += 1
      if (times > 1) figures.repeats += 1
    }
  }
}

/** Readers may lag, and what they read in pages shows nothing: whoever acts on a question or on the queue must know of it. */
async function showAll(wire: Wire, session: SessionDiary): Promise<void> {
  for (const frame of await readFrames(wire, `${session.path}?since=0&follow=false`)) session.show(frame)
}
