/** Many readers of event streams over bare sockets, that only count what comes. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { z } from 'zod'
import { answer } from '../meter.ts'
import { getRequest } from '../requester.ts'

const Order = z.object({ url: z.string(), path: z.string(), readers: z.number() })

const mark = Buffer.from('\ndata: ')

let deliveries = 0
let crowd: readonly Socket[] = []

answer({
  /** Connects everybody; answers when all have heard something. */
  gather: async (about) => {
    const { url, path, readers } = Order.parse(about)
    const { hostname, port } = new URL(url)
    crowd = Array.from({ length: readers }, () => connect({ host: hostname, port: Number(port) }))
    await Promise.all(
      crowd.map(async (socket) => {
        socket.write(getRequest(path, ''))
        await once(socket, 'data')
        socket.on('data', count)
      }),
    )
  },
  deliveries: () => deliveries,
  leave: () => {
    for (const socket of crowd) socket.destroy()
  },
})

// The channel alone keeps no process alive.
setInterval(() => {}, 60_000)

function count(bytes: Buffer): void {
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + mark.length)) deliveries += 1
}
