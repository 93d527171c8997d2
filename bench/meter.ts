/**
 * Loaded before the program of every process that a bench starts: answers what the bench asks over the IPC channel, and
 * ends the process when the bench is gone, however that came about.
 */
import { isMainThread } from 'node:worker_threads'

export interface Question {
  readonly id: number
  readonly question: string
  readonly about?: unknown
}

type Answers = Readonly<Record<string, (about: unknown) => unknown>>

/** Answers questions by their names, also later. A question that fails ends the process. */
export function answer(answers: Answers): void {
  process.on('message', async ({ id, question, about }: Question) => {
    const reply = answers[question]
    if (reply !== undefined) process.send?.({ id, answer: (await reply(about)) ?? null })
  })
}

// The program's own threads load this too, and the channel is not theirs.
if (isMainThread && process.channel !== undefined) {
  answer({ cpu, memory: () => process.memoryUsage.rss() })
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  process.channel?.unref()
}

/** Microseconds of processor time that all threads of the process have had, the system's work for them included. */
function cpu(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}
