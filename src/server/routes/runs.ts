import type { OnDisconnect, RunBody } from '../../protocol/protocol.ts'
import type { AgentRef } from '../../runtime/runtime.ts'
import type { SessionManager } from '../../session-manager/session-manager.ts'
import { nextLink } from '../link.ts'
import type { Handlers } from '../route.ts'
import { EventStreamBody } from '../sse.ts'

export const runRoutes = (manager: SessionManager, usualOnDisconnect: OnDisconnect) => {
  /** A stream that reads the run, and stops it when its client leaves, unless the run shall go on. */
  const stream = async (
    id: string,
    agent: AgentRef,
    body: RunBody,
    { on_disconnect = usualOnDisconnect }: { readonly on_disconnect?: OnDisconnect | undefined },
    signal: AbortSignal,
  ): Promise<EventStreamBody> => {
    const { run, events } = await manager.runSession(id, agent, { ...body, trigger: 'stream' })
    const stop = { by: 'client_disconnect', reason: 'the client left the stream of the run' }
    const cancel = () => manager.cancelRun(id, stop, { runId: run.run_id, waitMs: 0 })
    return new EventStreamBody(events(signal), on_disconnect === 'cancel' ? cancel : undefined)
  }

  return {
    streamRun: ({ params, body, query, signal }) => stream(params.id, { source: params.agent }, body, query, signal),
    streamNamedRun: ({ params, body, query, signal }) =>
      stream(params.id, { source: params.agent, name: params.agent_name }, body, query, signal),
    startRun: async ({ params, body: { agent, agent_name, ...rest } }) => {
      const { run } = await manager.runSession(params.id, { source: agent, name: agent_name || undefined }, rest)
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
