import type { IncomingHttpHeaders } from 'node:http'
import type { IfBusy, OnDisconnect, RunBody } from '../../protocol/protocol.ts'
import type { AgentRef } from '../../runtime/runtime.ts'
import type { SessionManager, Submission, SubmitOptions } from '../../session-manager/session-manager.ts'
import { nextLink } from '../link.ts'
import { mutation } from '../mutation.ts'
import { passedHeaders } from '../passed-headers.ts'
import type { Handlers } from '../route.ts'
import { EventStreamBody } from '../sse.ts'
import { accepted, senderIn } from './inputs.ts'

export interface RunRouteOptions {
  readonly onDisconnect: OnDisconnect
  /** Whether clients need a token, which must not be passed on. */
  readonly isGuarded: boolean
}

export const runRoutes = (manager: SessionManager, { onDisconnect, isGuarded }: RunRouteOptions) => {
  const submit = async (id: string, agent: AgentRef, headers: IncomingHttpHeaders, options: SubmitOptions) => {
    const { sent_by: sentBy } = senderIn(headers)
    return manager.submit(id, agent, { ...options, sentBy, headers: passedHeaders(headers, isGuarded) })
  }

  /** Starts a run for the stream of its client; whoever has a key comes back with it, so that it goes on meanwhile. */
  const begin = (id: string, agent: AgentRef, { body, query, headers }: StreamCall, isKeyed: boolean) => {
    const { on_disconnect = onDisconnect } = query
    const { if_busy = query.if_busy ?? 'reject', messages, model } = body
    const end = isKeyed ? 'continue' : on_disconnect
    const more = { ifBusy: if_busy, trigger: 'stream', onDisconnect: end } as const
    return submit(id, agent, headers, { messages, model, ...more })
  }

  /** A stream that reads the run, and stops it when its client leaves, unless the run shall go on. */
  const stream = async (submission: Submission, signal: AbortSignal): Promise<EventStreamBody> => {
    const { status, session_id, run } = submission
    const events = await manager.readSubmission(submission, signal)
    const stop = { by: 'client_disconnect', reason: 'the client left the stream of the run' }
    const cancel = () => manager.stopRun(session_id, stop, run?.run_id)
    // What waits in the queue, or is read by a run of somebody else, depends on no connection.
    const isOurs = status === 'started' && run?.on_disconnect === 'cancel'
    return new EventStreamBody(events, isOurs ? cancel : undefined)
  }

  return {
    streamRun: mutation(
      (call, isKeyed) => begin(call.params.id, { source: call.params.agent }, call, isKeyed),
      (outcome, { signal }) => stream(outcome, signal),
    ),
    streamNamedRun: mutation(
      (call, isKeyed) => {
        const { id, agent, agent_name } = call.params
        return begin(id, { source: agent, name: agent_name }, call, isKeyed)
      },
      (outcome, { signal }) => stream(outcome, signal),
    ),
    startRun: mutation(
      ({ params, headers, body: { agent, agent_name, if_busy, ...rest } }) =>
        submit(params.id, { source: agent, name: agent_name || undefined }, headers, { ...rest, ifBusy: if_busy }),
      (submission) => accepted(submission),
    ),
    listRuns: async ({ params, query, url, reply }) => {
      const { entries, next } = await manager.getRuns(params.id, query)
      if (next !== undefined) reply.header('link', nextLink(url, next))
      return entries
    },
    getRun: ({ params }) => manager.getRun(params.id, params.run_id),
    compact: mutation(
      ({ params, body }) => manager.compactSession(params.id, body.additional_prompt),
      ({ run, isNew }) => ({ status: isNew ? 'started' : 'queued', run_id: run.run_id }),
    ),
    cancelRun: mutation(
      ({ params, body: { run_id, reason } }) => manager.stopRun(params.id, { by: 'client', reason }, run_id),
      async ({ run_id }, { params, query, reply }) => {
        const { stopped, run } = await manager.runStopped(params.id, run_id, query.wait)
        reply.code(stopped ? 200 : 202)
        const message = run === undefined ? 'no run goes on' : stopped ? 'run stopped' : 'stop still in progress'
        return { message, run }
      },
    ),
  } satisfies Partial<Handlers>
}

interface StreamCall {
  readonly body: RunBody
  readonly query: { readonly on_disconnect?: OnDisconnect | undefined; readonly if_busy?: IfBusy | undefined }
  readonly headers: IncomingHttpHeaders
}
