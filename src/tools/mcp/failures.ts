import { ProtocolError, SdkError, SdkErrorCode, SdkHttpError } from '@modelcontextprotocol/client'
import { z } from 'zod'
import type { Loss } from './loss.ts'

const textLimit = 500

const WithCode = z.object({ code: z.string() })
const WithCause = z.object({ cause: z.unknown() })

const systemErrors: Readonly<Record<string, string>> = {
  ENOENT: 'cannot be started: its command, or the folder it works in, does not exist',
  EACCES: 'cannot be started: its command may not be run',
  ECONNREFUSED: 'cannot be reached: the connection was refused',
  ENOTFOUND: 'cannot be reached: its host is unknown',
}

const sdkErrors: Readonly<Record<string, string>> = {
  [SdkErrorCode.RequestTimeout]: 'did not answer in time',
  [SdkErrorCode.ConnectionClosed]: 'ended the connection',
  [SdkErrorCode.InvalidResult]: 'answered with something that is no answer',
}

/** A server cannot be used now; the reason is the end of a sentence that begins with the server's name. */
export class Unavailable extends Error {
  readonly reason: string

  constructor(reason: string) {
    super(reason)
    this.name = 'Unavailable'
    this.reason = reason
  }
}

/** A connection did not come about: by an error, and perhaps since the server was lost meanwhile. */
export class ConnectFailure extends Error {
  readonly loss: Loss | undefined
  readonly stderr: string

  constructor(cause: unknown, loss: Loss | undefined, stderr: string) {
    super('the connection could not be opened', { cause })
    this.loss = loss
    this.stderr = stderr
  }
}

/** The end of a sentence that begins with the server's name. The secrets do not appear in it. */
export function describeFailure(error: unknown, secrets: readonly string[] = []): string {
  if (error instanceof Unavailable) return error.reason
  if (error instanceof ConnectFailure) return describeConnectFailure(error, secrets)
  if (error instanceof DOMException && error.name === 'TimeoutError') return 'did not start in time'
  if (SdkHttpError.isInstance(error)) return describeStatus(error.status)
  const known = SdkError.isInstance(error) ? sdkErrors[error.code] : undefined
  if (known !== undefined) return known
  if (ProtocolError.isInstance(error)) return `answered with an error: ${error.message.slice(0, textLimit)}`
  const code = codeOf(error)
  if (code !== undefined) return systemErrors[code] ?? `cannot be reached: ${code}`
  return `failed: ${error instanceof Error ? error.message.slice(0, textLimit) : 'unknown error'}`
}

/** A process that ended at once mostly said why, in its last line. */
function describeConnectFailure({ cause, loss, stderr }: ConnectFailure, secrets: readonly string[]): string {
  const reason = loss?.reason ?? describeFailure(cause)
  const said = stderr.trim().split('\n').at(-1)?.slice(0, textLimit) ?? ''
  const shown = secrets.filter((secret) => secret !== '').reduce((text, secret) => text.replaceAll(secret, '***'), said)
  return loss === undefined || shown === '' ? reason : `${reason}; it said: ${shown}`
}

function describeStatus(status: number): string {
  return status === 401 || status === 403 ? `refuses access with status ${status}` : `answered with status ${status}`
}

/** The code of the system error at the bottom, if there is one. */
function codeOf(error: unknown): string | undefined {
  const own = WithCode.safeParse(error)
  if (own.success && /^(?:E[A-Z]+|UND_[A-Z_]+)$/.test(own.data.code)) return own.data.code
  const outer = WithCause.safeParse(error)
  return outer.success && outer.data.cause !== undefined ? codeOf(outer.data.cause) : undefined
}
