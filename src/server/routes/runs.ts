import type { IncomingHttpHeaders } from 'node:http'
import type { OnDisconnect, Run, RunBody } from '../../protocol/protocol.ts'
import type { AgentRef } from '../../runtime/runtime.ts'
import type { RunOptions, SessionManager } from '../../session-manager/session-manager.ts'
import { nextLink } from '../link.ts'
import { mutation } from '../mutation.ts'
import { passedHeaders } from '../passed-headers.ts'
import type { Handlers } from '../route.ts'
import { EventStreamBody } from '../sse.ts'

export interface RunRouteOptions {
  readonly onDisconnect: OnDisconnect
  /** Whether clients need a token, which must not be passed on. */
  readonly isGuarded: boolean
}

export const runRoutes = (manager: SessionManager, { onDisconnect, isGuarded }: RunRouteOptions) => {
  const start = async (id: string, agent: AgentRef, headers: IncomingHttpHeaders, options: RunOptions) => {
    const { run } = await manager.runSession(id, agent, { ...options, headers: passedHeaders(headers, isGuarded) })
    return { run }
  }

  /** Starts a run for the stream of its client; whoever has a key comes back with it, so that it goes on meanwhile. */
  const begin = (id: string, agent: AgentRef, { body, query, headers }: StreamCall, isKeyed: boolean) => {
    const { on_disconnect = onDisconnect } = query
    const end = isKeyed ? 'continue' : on_disconnect
    return start(id, agent, headers, { ...body, trigger: 'stream', onDisconnect: end })
  }

  /** A stream that reads the run, and stops it when its client leaves, unless the run shall go on. */
  const stream = async ({ run }: { readonly run: Run }, signal: AbortSignal): Promise<EventStreamBody> => {
    const { session_id, run_id, on_disconnect } = run
    const events = await manager.readRun(session_id, run_id, signal)
    const stop = { by: 'client_disconnect', reason: 'the client left the stream of the run' }
    const cancel = () => manager.stopRun(session_id, stop, run_id)
    return new EventStreamBody(events, on_disconnect === 'cancel' ? cancel : undefined)
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
      ({ params, headers, body: { agent, agent_name, ...rest } }) =>
        start(params.id, { source: agent, name: agent_name || undefined }, headers, rest),
      ({ run: { run_id, session_id, first_seq } }) => ({ run_id, session_id, first_seq }),
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
  readonly query: { readonly on_disconnect?: OnDisconnect | undefined }
  readonly headers: IncomingHttpHeaders
}
