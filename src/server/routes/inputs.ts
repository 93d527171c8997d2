import type { IncomingHttpHeaders } from 'node:http'
import { type AcceptedInput, Refusal, type RunStart } from '../../protocol/protocol.ts'
import type { SessionManager, Submission } from '../../session-manager/session-manager.ts'
import { nextLink } from '../link.ts'
import { mutation } from '../mutation.ts'
import { passedHeaders } from '../passed-headers.ts'
import type { Handlers } from '../route.ts'

export const inputRoutes = (manager: SessionManager, { isGuarded }: { readonly isGuarded: boolean }) =>
  ({
    steer: mutation(
      ({ params, body, headers }) => manager.steerSession(params.id, body.messages, senderIn(headers)),
      () => ({ status: 'queued' }),
    ),
    followUp: mutation(
      ({ params, body, headers }) => manager.followUpSession(params.id, body.messages, undefined, senderIn(headers)),
      ({ streaming }, _, isRepeat) => {
        if (isRepeat) return { status: 'duplicate', duplicate: true }
        return { status: streaming ? 'queued_streaming' : 'queued_idle', duplicate: false }
      },
    ),
    getQueue: ({ params }) => manager.getQueue(params.id),
    listInputs: async ({ params, query, url, reply }) => {
      if (query.state === 'waiting') return manager.getInputs(params.id)
      const { entries, next } = await manager.getAllInputs(params.id, query)
      if (next !== undefined) reply.header('link', nextLink(url, next))
      return entries
    },
    addInputs: mutation(
      ({ params, headers, body: { agent, agent_name, if_busy, ...rest } }) => {
        const ref = agent === undefined ? undefined : { source: agent, name: agent_name || undefined }
        const { sent_by } = senderIn(headers)
        const options = { ...rest, ifBusy: if_busy, sentBy: sent_by, headers: passedHeaders(headers, isGuarded) }
        return manager.submit(params.id, ref, options)
      },
      (submission) => accepted(submission),
    ),
    getInput: ({ params }) => manager.getInput(params.id, params.input_id),
    updateInput: mutation(
      ({ params, body }) => manager.updateInput(params.id, params.input_id, body),
      (input) => input,
    ),
    cancelInput: mutation(
      ({ params }) => manager.cancelInput(params.id, params.input_id),
      (input) => input,
    ),
  }) satisfies Partial<Handlers>

/** What became of a request whose client does not wait for the run. */
export function accepted({ status, session_id, run, inputIds }: Submission): RunStart | AcceptedInput {
  if (run !== undefined && status === 'started') {
    return { run_id: run.run_id, session_id, first_seq: run.first_seq }
  }
  const waiting = status === 'steered' ? 'steered' : 'queued'
  return { status: waiting, session_id, input_ids: [...inputIds], ...(run && { run_id: run.run_id }) }
}

/** Who sends: what the client calls itself, or the person in front of it. */
export function senderIn(headers: IncomingHttpHeaders): { readonly sent_by?: string } {
  const name = headers['x-client-name']
  if (name === undefined || name === '') return {}
  if (typeof name === 'string' && /^[\x21-\x7e]{1,64}$/.test(name)) return { sent_by: name }
  const details = [{ path: 'headers.x-client-name', message: 'must be 1 to 64 visible ASCII characters' }]
  throw new Refusal('invalid_request', undefined, { details })
}
