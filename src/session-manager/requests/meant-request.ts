import { Refusal, type Request } from '../../protocol/protocol.ts'
import { settledRefusal } from './settled-request.ts'

/** Which approval an answer means. Nothing, or empty text: the one that is confirmed now. */
export interface ApprovalAddress {
  readonly request_id?: string | undefined
  readonly tool_call_id?: string | undefined
}

/** The requests of a session that an answer may mean. */
export interface KnownRequests {
  readonly open: readonly Request[]
  /** The one that is shown to clients which know no ids. */
  readonly shown: Request | undefined
  settled(matches: (request: Request) => boolean): Request | undefined
}

/** Refuses with `unknown_request`, `request_settled` (and who won) or `no_pending_request`. */
export function approvalMeant({ request_id, tool_call_id }: ApprovalAddress, known: KnownRequests): Request {
  if (request_id) return byId(request_id, 'request_id', known, wantsVerdict)
  if (tool_call_id) return byToolCall(tool_call_id, known)
  if (known.shown === undefined) throw new Refusal('no_pending_request')
  return known.shown
}

/** Refuses with `unknown_request` or `request_settled` (and who won); `key` is where the body has the id. */
export function elicitationMeant(id: string, key: string, known: KnownRequests): Request {
  return byId(id, key, known, (request) => !wantsVerdict(request))
}

/** It is answered by a verdict, as everything but an elicitation is. */
export function wantsVerdict({ content }: Request): boolean {
  return content.kind !== 'elicitation'
}

function byId(id: string, key: string, known: KnownRequests, isMeant: (request: Request) => boolean): Request {
  const request = find(known, (candidate) => candidate.id === id)
  if (request === undefined || !isMeant(request)) throw new Refusal('unknown_request')
  return stillOpen(request, key)
}

function byToolCall(id: string, known: KnownRequests): Request {
  const request = find(known, ({ content }) => content.kind === 'approval' && content.tool_call.id === id)
  if (request === undefined) throw new Refusal('no_pending_request')
  return stillOpen(request, 'tool_call_id')
}

function find({ open, settled }: KnownRequests, matches: (request: Request) => boolean): Request | undefined {
  return open.find(matches) ?? settled(matches)
}

function stillOpen(request: Request, key: string): Request {
  if (request.state !== 'open') throw settledRefusal(request, `body.${key}`)
  return request
}
