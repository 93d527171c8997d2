import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { z } from 'zod'

const Bound = z.object({ port: z.number() })

export interface CuttingProxy extends AsyncDisposable {
  readonly url: string
  /** Connections that were cut so far. */
  readonly cut: number
}

/**
 * Passes connections on to a server. The n-th one is cut when the server has said as many bytes as the n-th number says;
 * those that follow are left alone.
 */
export async function cuttingProxy(target: string, bytes: readonly number[]): Promise<CuttingProxy> {
  const { hostname, port } = new URL(target)
  const left = [...bytes]
  const sockets = new Set<Socket>()
  let cut = 0
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    let budget = left.shift() ?? Number.POSITIVE_INFINITY
    const part = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      // An error is followed by `close`, and that is all there is to know.
      socket.on('error', () => {})
      socket.once('close', () => {
        sockets.delete(socket)
        part()
      })
    }
    client.pipe(upstream)
    upstream.on('data', (chunk: Buffer) => {
      const passed = chunk.subarray(0, budget)
      budget -= chunk.length
      if (budget > 0) {
        if (!client.write(passed)) pauseUntilDrained(upstream, client)
        return
      }
      cut += 1
      upstream.destroy()
      client.end(passed, part)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${Bound.parse(server.address()).port}`,
    get cut() {
      return cut
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function pauseUntilDrained(from: Socket, to: Socket): void {
  from.pause()
  to.once('drain', () => from.resume())
}
