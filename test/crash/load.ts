import type { Client } from './client.ts'
import type { Random } from './random.ts'
import { Reader } from './reader.ts'
import type { SessionWitness } from './session-witness.ts'
import { Talker } from './talker.ts'
import type { Witness } from './witness.ts'

const talkers = 6
const readersPerSession = 2
const newSessions = 3
const oldSessions = 4

/**
 * Many clients at once: some talk, and each session that they talk to has its readers. The clients outlive the servers, so a
 * reader goes on where it was.
 */
export class Load {
  readonly #witness: Witness
  readonly #readers = new Map<SessionWitness, readonly Reader[]>()
  readonly #fleet: Reader

  constructor(witness: Witness) {
    this.#witness = witness
    this.#fleet = new Reader(witness.fleet)
  }

  get readers(): readonly Reader[] {
    return [...this.#readers.values()].flat()
  }

  /**
   * Resolves with the sessions that were talked to when the server is gone and every client has noticed. Rejects with what a
   * client must never see.
   */
  async run(client: Client, random: Random): Promise<readonly SessionWitness[]> {
    const cast: SessionWitness[] = []
    const reading: Promise<void>[] = [this.#fleet.follow(client, random)]
    const take = (session: SessionWitness): void => {
      cast.push(session)
      reading.push(...this.#readersOf(session).map((reader) => reader.follow(client, random)))
    }
    for (const session of random.some(this.#witness.alive, oldSessions)) take(session)
    const crew = Array.from({ length: talkers }, () => new Talker(client, this.#witness, random, take))
    await Promise.all(crew.slice(0, newSessions).map((talker) => talker.create()))
    await Promise.all(crew.map((talker) => talker.talk(cast)))
    await Promise.all(reading)
    return cast
  }

  #readersOf(session: SessionWitness): readonly Reader[] {
    const readers = this.#readers.get(session) ?? Array.from({ length: readersPerSession }, () => new Reader(session))
    this.#readers.set(session, readers)
    return readers
  }
}
