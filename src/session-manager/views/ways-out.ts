import { type EndpointName, endpoints, type Request, type WayOut, type WayOutCode } from '../../protocol/protocol.ts'
import type { Case } from './explanation.ts'

/** Something that comes by itself. */
export function comes(code: WayOutCode, message: string): WayOut {
  return { code, message }
}

export const startRun = (facts: Case): WayOut => asks(facts, 'run', 'a run is started', 'startRun')
export const sendFollowUp = (facts: Case): WayOut => asks(facts, 'followup', 'a follow-up is sent', 'followUp')
export const raiseBudget = (facts: Case): WayOut => asks(facts, 'budget_raised', 'the budget is raised', 'setBudget')
export const cancel = (facts: Case): WayOut => asks(facts, 'cancel', 'the run is stopped', 'cancelRun')
export const release = (facts: Case): WayOut => asks(facts, 'release', 'what is held is released', 'listInputs')
export const takeBack = (facts: Case): WayOut => asks(facts, 'cancel', 'the start is taken back', 'cancelRun')

/** What the server does by itself at the deadline, if there is one. */
export function atDeadline({ activities }: Case, what: string): readonly WayOut[] {
  const [first] = activities.flatMap(({ deadline }) => deadline ?? []).sort()
  return first === undefined ? [] : [comes('deadline', `${what}, at ${first}`)]
}

/** The answer of a person, and where to send it. */
export function answerOf({ id, session_id }: Request): WayOut {
  const request = requestLine('answerRequest', session_id).replace(':request_id', id)
  return { code: 'answer', message: `an answer to request ${id}`, request }
}

/** The end of a task; how it stands is told by its own session. */
export function endOfTask(sessionId: string): WayOut {
  return {
    code: 'task_ends',
    message: `the task of session ${sessionId} has ended`,
    request: requestLine('explain', sessionId),
  }
}

function asks({ record }: Case, code: WayOutCode, message: string, endpoint: EndpointName): WayOut {
  return { code, message, request: requestLine(endpoint, record.id) }
}

function requestLine(name: EndpointName, id: string): string {
  const { method, path } = endpoints[name]
  return `${method} ${path.replace(':id', id)}`
}
