import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** An answer as it came over the wire. */
export interface RawAnswer {
  readonly status: number
  readonly head: string
  readonly body: unknown
}

export async function open(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  return socket
}

/** Sends bytes that fetch would not send, and reads until the server hangs up. */
export async function send(url: string, bytes: string): Promise<RawAnswer> {
  const socket = await open(url)
  socket.write(bytes)
  let text = ''
  for await (const chunk of socket) text += chunk
  const [head = '', body = ''] = text.split('\r\n\r\n')
  return {
    status: Number(head.split(' ')[1]),
    head: head.toLowerCase(),
    body: body === '' ? undefined : JSON.parse(body),
  }
}

/** Sends a request with exactly these header lines. */
export function request(
  url: string,
  line: string,
  headers: Readonly<Record<string, string>>,
  body = '',
): Promise<RawAnswer> {
  const lines = Object.entries({ connection: 'close', ...headers }).map(([name, value]) => `${name}: ${value}`)
  return send(url, `${[`${line} HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n${body}`)
}
