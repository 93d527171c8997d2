/** The least that fan-out can cost: at every tick one Buffer, framed beforehand, to every socket. */
import { createServer, type Socket } from 'node:net'
import { z } from 'zod'
import { answer } from '../meter.ts'
import { listen } from './listen.ts'

const Order = z.object({ frame: z.string(), every: z.number() })

const readers = new Set<Socket>()
let timer: NodeJS.Timeout | undefined

answer({
  start: (about) => {
    const { frame, every } = Order.parse(about)
    const size = Buffer.byteLength(frame).toString(16)
    const bytes = Buffer.from(`${size}\r\n${frame}\r\n`)
    timer = setInterval(() => {
      for (const socket of readers) socket.write(bytes)
    }, every)
  },
  stop: () => clearInterval(timer),
})

listen(
  createServer((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
      readers.add(socket)
    })
    socket.on('error', () => {}).once('close', () => readers.delete(socket))
  }),
)
