import { once } from 'node:events'
import { z } from 'zod'

const Answer = z.object({ id: z.number(), result: z.object({ result: z.object({ value: z.unknown() }).optional() }) })
const Inside = z.object({ heap: z.number(), handles: z.number() })
export type Inside = z.infer<typeof Inside>

const look = `({
  heap: process.memoryUsage().heapUsed,
  handles: process.getActiveResourcesInfo().filter((name) => name !== 'Timeout' && name !== 'Immediate').length,
})`

/** What a process says about itself to its debugger. */
export class Inspector {
  readonly #socket: WebSocket
  #ids = 0

  private constructor(socket: WebSocket) {
    this.#socket = socket
  }

  static async connect(url: string): Promise<Inspector> {
    const socket = new WebSocket(url)
    await once(socket, 'open')
    return new Inspector(socket)
  }

  /** Bytes of the heap after everything was collected that can be, and open handles. */
  async look(): Promise<Inside> {
    // Finalizers of the first round free what only the second finds.
    await this.#ask('HeapProfiler.collectGarbage', {})
    await this.#ask('HeapProfiler.collectGarbage', {})
    return Inside.parse(await this.#ask('Runtime.evaluate', { expression: look, returnByValue: true }))
  }

  close(): void {
    this.#socket.close()
  }

  async #ask(method: string, params: object): Promise<unknown> {
    this.#ids += 1
    const id = this.#ids
    const answer = new Promise<unknown>((done) => {
      const hear = ({ data }: MessageEvent): void => {
        const parsed = Answer.safeParse(JSON.parse(String(data)))
        if (parsed.data?.id !== id) return
        this.#socket.removeEventListener('message', hear)
        done(parsed.data.result.result?.value)
      }
      this.#socket.addEventListener('message', hear)
    })
    this.#socket.send(JSON.stringify({ id, method, params }))
    return answer
  }
}
