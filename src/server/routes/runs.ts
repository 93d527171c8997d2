import type { IncomingHttpHeaders } from 'node:http'
import type { OnDisconnect, RunBody } from '../../protocol/protocol.ts'
import type { AgentRef } from '../../runtime/runtime.ts'
import type { SessionManager } from '../../session-manager/session-manager.ts'
import { nextLink } from '../link.ts'
import { passedHeaders } from '../passed-headers.ts'
import type { Handlers } from '../route.ts'
import { EventStreamBody } from '../sse.ts'

interface StreamCall {
  readonly body: RunBody
  readonly query: { readonly on_disconnect?: OnDisconnect | undefined }
  readonly headers: IncomingHttpHeaders
  readonly signal: AbortSignal
}

export interface RunRouteOptions {
  readonly onDisconnect: OnDisconnect
  /** Whether clients need a token, which must not be passed on. */
  readonly isGuarded: boolean
}

export const runRoutes = (manager: SessionManager, { onDisconnect, isGuarded }: RunRouteOptions) => {
  /** A stream that reads the run, and stops it when its client leaves, unless the run shall go on. */
  const stream = async (
    id: string,
    agent: AgentRef,
    { body, query, headers, signal }: StreamCall,
  ): Promise<EventStreamBody> => {
    const { on_disconnect = onDisconnect } = query
    const passed = passedHeaders(headers, isGuarded)
    const options = { ...body, trigger: 'stream', onDisconnect: on_disconnect, headers: passed } as const
    const { run, events } = await manager.runSession(id, agent, options)
    const stop = { by: 'client_disconnect', reason: 'the client left the stream of the run' }
    const cancel = () => manager.cancelRun(id, stop, { runId: run.run_id, waitMs: 0 })
    return new EventStreamBody(events(signal), on_disconnect === 'cancel' ? cancel : undefined)
  }

  return {
    streamRun: (call) => stream(call.params.id, { source: call.params.agent }, call),
    streamNamedRun: (call) => stream(call.params.id, { source: call.params.agent, name: call.params.agent_name }, call),
    startRun: async ({ params, headers, body: { agent, agent_name, ...rest } }) => {
      const options = { ...rest, headers: passedHeaders(headers, isGuarded) }
      const { run } = await manager.runSession(params.id, { source: agent, name: agent_name || undefined }, options)
      return { run_id: run.run_id, session_id: run.session_id, first_seq: run.first_seq }
    },
    listRuns: async ({ params, query, url, reply }) => {
      const { entries, next } = await manager.getRuns(params.id, query)
      if (next !== undefined) reply.header('link', nextLink(url, next))
      return entries
    },
    getRun: ({ params }) => manager.getRun(params.id, params.run_id),
    compact: async ({ params, body }) => {
      const { run, isNew } = await manager.compactSession(params.id, body.additional_prompt)
      return { status: isNew ? 'started' : 'queued', run_id: run.run_id }
    },
    cancelRun: async ({ params, query, body: { run_id, reason }, reply }) => {
      const request = { by: 'client', reason }
      const { stopped, run } = await manager.cancelRun(params.id, request, { runId: run_id, waitMs: query.wait })
      reply.code(stopped ? 200 : 202)
      const message = run === undefined ? 'no run goes on' : stopped ? 'run stopped' : 'stop still in progress'
      return { message, run }
    },
  } satisfies Partial<Handlers>
}
