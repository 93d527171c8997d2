import { type Reach, readBody } from '../net/net.ts'
import type { ToolCallResult } from '../protocol/protocol.ts'
import { type HttpRequest, http } from './http-client.ts'

const maxBytes = 1024 * 1024

export interface HttpCall extends Pick<HttpRequest, 'method' | 'headers' | 'seconds' | 'signal'> {
  readonly url: URL
  readonly body: string | undefined
  readonly allowPrivate: boolean
}

/** Calls an API and returns what it answered; a status that is no success is an error. Throws a `CallFailure`. */
export async function callHttp({ url, allowPrivate, ...call }: HttpCall): Promise<ToolCallResult> {
  const reach = (): Reach => (allowPrivate ? 'any' : 'public')
  return await http(url, { ...call, reach }, async ({ status, message }) => {
    const { bytes, cut } = await readBody(message, maxBytes)
    const text = bytes.toString('utf8') + (cut ? `\n\n[Only the first ${maxBytes} bytes are here]` : '')
    const meta = { status }
    if (status >= 200 && status <= 299) return { output: text, meta }
    return { output: `The API answered ${status} ${message.statusMessage ?? ''}\n${text}`, isError: true, meta }
  })
}
