import type { APICallError } from '@ai-sdk/provider'
import { z } from 'zod'
import { parseDuration } from '../protocol/protocol.ts'

/** What a provider said about a failure, whichever way it said it. */
export type Report = {
  readonly status?: number | undefined
  readonly code?: string | undefined
  readonly type?: string | undefined
  readonly text?: string | undefined
  readonly retryAfterMs?: number | undefined
}

const Text = z.string().optional().catch(undefined)
const Name = z.union([z.string(), z.number().transform(String)])
const Named = Name.optional().catch(undefined)
const Details = z.array(z.object({ retryDelay: Text, reason: Text }))

/** The error object of every provider's body: OpenAI has `code` and `type`, Anthropic `type`, Google `status`. */
const ErrorObject = z.object({
  message: Text,
  code: Named,
  type: Named,
  status: Named,
  details: Details.optional().catch(undefined),
})
type ErrorObject = z.infer<typeof ErrorObject>

const ErrorBody = z.object({ error: ErrorObject })
const ErrorList = z.tuple([ErrorBody], z.unknown())

/** Google may answer with a list; Mistral and others put the object at the top. */
const Body = z.union([
  ErrorBody.transform((body) => body.error),
  ErrorList.transform(([body]) => body.error),
  ErrorObject,
])

/** An answer with a status that says no. */
export function callReport({ responseBody, responseHeaders, statusCode }: APICallError): Report {
  const error = Body.safeParse(json(responseBody)).data
  return {
    status: statusCode,
    // Google's own code is only the status again; what is wrong with a key stands among the details.
    code: detail(error, 'reason') ?? error?.code,
    type: error?.status ?? error?.type,
    text: error?.message,
    retryAfterMs: retryAfter(responseHeaders ?? {}) ?? retryDelay(error),
  }
}

const StreamError = z.object({
  message: z.string(),
  code: Named,
  type: Named,
  statusCode: z.number().optional().catch(undefined),
})

/** An error that came as a part of a stream; `undefined` for whatever else is thrown there. */
export function streamReport(error: unknown): Report | undefined {
  if (error instanceof Error) return undefined
  const parsed = StreamError.safeParse(error)
  if (!parsed.success) return undefined
  const { message, code, type, statusCode } = parsed.data
  const status = statusCode ?? (/^[45]\d\d$/.test(code ?? '') ? Number(code) : undefined)
  return { status, code, type, text: message }
}

function retryAfter(headers: Readonly<Record<string, string>>): number | undefined {
  const exact = Number(headers['retry-after-ms'] ?? Number.NaN)
  if (exact >= 0) return exact
  const told = headers['retry-after']?.trim()
  if (told === undefined) return undefined
  if (/^\d+(\.\d+)?$/.test(told)) return Number(told) * 1000
  const date = Date.parse(told)
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now())
}

/** Google says in the body how long to wait. */
function retryDelay(error: ErrorObject | undefined): number | undefined {
  const told = detail(error, 'retryDelay')
  return told === undefined ? undefined : parseDuration(told)
}

function detail(error: ErrorObject | undefined, name: 'reason' | 'retryDelay'): string | undefined {
  return error?.details?.find((one) => one[name] !== undefined)?.[name]
}

function json(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? 'null')
  } catch {
    return undefined
  }
}
