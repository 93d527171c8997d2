import {
  type Decider,
  type ElicitationAnswer,
  type ErrorDetail,
  type ExpiryReason,
  Refusal,
  type Request,
  type RequestState,
  type Verdict,
} from '../../protocol/protocol.ts'

/** A request as it stands after it was settled. One that expires without a reason expires with its process. */
export function settled(
  request: Request,
  state: RequestState,
  decider: Decider,
  { answer, reason }: { readonly answer?: Verdict | ElicitationAnswer; readonly reason?: ExpiryReason } = {},
): Request {
  return {
    ...request,
    state,
    decider,
    settled_at: new Date().toISOString(),
    ...(answer === undefined ? {} : { answer }),
    ...(state === 'expired' ? { reason: reason ?? 'restart' } : {}),
  }
}

/** Tells who comes late who was first: in one sentence, and each thing by itself. */
export function settledRefusal(request: Request, path: string): Refusal {
  const { state, decider = 'nobody', settled_at, reason } = request
  const told: readonly ErrorDetail[] = [
    { path, message: `${state} by ${decider} at ${settled_at ?? '?'}` },
    { path: 'request.state', message: state },
    { path: 'request.decider', message: decider },
    ...(settled_at === undefined ? [] : [{ path: 'request.settled_at', message: settled_at }]),
    ...(reason === undefined ? [] : [{ path: 'request.reason', message: reason }]),
  ]
  return new Refusal('request_settled', `The request is settled already: ${state} by ${decider}`, { details: told })
}
