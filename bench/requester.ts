import { connect } from 'node:net'

interface Load {
  readonly url: string
  /** The whole request, head and body. */
  readonly request: string
  readonly connections: number
  readonly count: number
}

/**
 * Sends one request again and again, one at a time on each connection, and reads no more of the answers than it must: a
 * client that costs as much as the server would hide the difference between servers. Rejects on any other status than 200.
 */
export async function requestMany({ url, request, connections, count }: Load): Promise<void> {
  const { hostname, port } = new URL(url)
  let left = count
  const next = () => left-- > 0
  await Promise.all(Array.from({ length: connections }, () => converse(Number(port), hostname, request, next)))
}

function converse(port: number, host: string, request: string, next: () => boolean): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = connect({ port, host, noDelay: true })
  let received = ''
  const send = () => {
    if (next()) socket.write(request)
    else socket.end()
  }
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text
    const length = lengthOf(received)
    if (length === undefined || received.length < length) return
    if (!received.startsWith('HTTP/1.1 200')) socket.destroy(new Error(received))
    received = ''
    send()
  })
  socket.once('connect', send).once('error', reject).once('close', resolve)
  return promise
}

/** Of an answer, as soon as its head is there. */
function lengthOf(text: string): number | undefined {
  const head = text.indexOf('\r\n\r\n')
  const length = /content-length: (\d+)/i.exec(head < 0 ? '' : text.slice(0, head))?.[1]
  return length === undefined ? undefined : head + 4 + Number(length)
}

export function getRequest(path: string, token: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n\r\n`
}

export function postRequest(path: string, body: string): string {
  const head = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json`
  return `${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}
