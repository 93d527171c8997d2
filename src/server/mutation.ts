import { createHmac } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { type Endpoint, idempotencyKey, Refusal, waitParameters } from '../protocol/protocol.ts'
import { fingerprintOf, type KeyedCommand, type SessionManager } from '../session-manager/session-manager.ts'
import { withoutNulls } from './nulls.ts'
import type { Answer, Call } from './route.ts'

/**
 * A handler of what changes something, in two halves: a repeat answers from what was decided, which may be long ago, without
 * deciding again. What waits belongs to the answer.
 */
export interface Mutation<E extends Endpoint> {
  decide(call: Call<E>, isKeyed: boolean): Promise<unknown>
  answer(outcome: unknown, call: Call<E>, isRepeat: boolean): Answer<E> | Promise<Answer<E>>
}

/** `decide` answers with what the manager has decided: JSON, of which `answer` makes the body. */
export function mutation<E extends Endpoint, T>(
  decide: (call: Call<E>, isKeyed: boolean) => Promise<T>,
  answer: (outcome: T, call: Call<E>, isRepeat: boolean) => Answer<E> | Promise<Answer<E>>,
): Mutation<E> {
  // An outcome comes from this `decide`, now or as it was stored.
  return { decide, answer: (outcome, call, isRepeat) => answer(outcome as T, call, isRepeat) }
}

/** Carries mutations out: those that bear an idempotency key once. */
export class Mutations {
  readonly #manager: SessionManager
  readonly #owner: string

  /** Keys belong to those who have the token, of which only a fingerprint is kept; without one to everybody. */
  constructor(manager: SessionManager, token: string | undefined) {
    this.#manager = manager
    this.#owner = token === undefined ? '' : createHmac('sha256', token).update('idempotency').digest('base64url')
  }

  async carryOut<E extends Endpoint>(
    endpoint: E,
    { decide, answer }: Mutation<E>,
    call: Call<E>,
    request: FastifyRequest,
  ): Promise<Answer<E>> {
    const command = this.#commandOf(endpoint, request)
    if (command === undefined) return answer(await decide(call, false), call, false)
    const { outcome, isRepeat } = await this.#manager.once(command, () => decide(call, true))
    const told = await answer(outcome, call, isRepeat)
    if (isRepeat) call.reply.header(replayedHeader, 'true')
    return told
  }

  #commandOf({ method, path, emptyBody }: Endpoint, request: FastifyRequest): KeyedCommand | undefined {
    const key = keyOf(request)
    if (key === undefined) return undefined
    const { id, ...others } = fieldsOf(request.params)
    const query = Object.entries(fieldsOf(request.query)).filter(([name]) => !waitParameters.has(name))
    const said = [others, Object.fromEntries(query), withoutNulls(request.body ?? emptyBody)]
    return {
      scope: JSON.stringify([this.#owner, method, path, id]),
      key,
      fingerprint: fingerprintOf(said),
    }
  }
}

/** On an answer to a request that was carried out before. */
export const replayedHeader = 'idempotency-replayed'

function keyOf({ headers }: FastifyRequest): string | undefined {
  const key = headers[idempotencyKey.header]
  if (key === undefined || (typeof key === 'string' && idempotencyKey.form.test(key))) return key
  const message = 'must be 1 to 255 visible ASCII characters'
  const details = [{ path: `headers.${idempotencyKey.header}`, message }]
  throw new Refusal('invalid_request', undefined, { details })
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
