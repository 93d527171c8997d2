import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { lifeVariable } from './agents.ts'
import { must } from './complaint.ts'

/** Nothing takes as long to end. */
const patienceMs = 15_000

/** A process of a server, or of another process of a server. */
interface Descendant {
  readonly pid: number
  /** The server's life that it was started in. */
  readonly life: string
  readonly command: string
}

/** Waits until nothing is left of the lives of a world but of the one that goes on, if one does. */
export async function awaitEnds(
  world: string,
  goesOn?: { readonly name: string; readonly pid: number },
): Promise<void> {
  const end = performance.now() + patienceMs
  for (;;) {
    const left = descendants(world).filter(({ life }) => life !== goesOn?.name)
    if (left.length === 0) return
    must(performance.now() < end, `servers have ended and left ${JSON.stringify(left)}`)
    await delay(20)
  }
}

/** Ends whatever is left of a world. */
export function endAll(world: string): void {
  for (const { pid } of descendants(world)) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {}
  }
}

/** Every living process that inherited the variable which names a life of a world; a server is one itself. */
function descendants(world: string): readonly Descendant[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const life = lifeOf(pid)
      return life?.startsWith(`${world}-`) ? [{ pid: Number(pid), life, command: commandOf(pid) }] : []
    })
}

function lifeOf(pid: string): string | undefined {
  const prefix = `${lifeVariable}=`
  return read(pid, 'environ')
    .find((entry) => entry.startsWith(prefix))
    ?.slice(prefix.length)
}

function commandOf(pid: string): string {
  return read(pid, 'cmdline').join(' ').trim()
}

/** A process may be gone at any time; the dead have neither. */
function read(pid: string, file: 'environ' | 'cmdline'): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0')
  } catch {
    return []
  }
}
