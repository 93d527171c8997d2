import { z } from 'zod'
import { AgentFileView, AgentSummary, ToolCount } from './agent.ts'
import { Budget, ExceededBudget, Spending } from './budget.ts'
import type { ErrorCode } from './errors.ts'
import { EventPage } from './events.ts'
import { DetachedRunBody, FollowUpAnswer, QueueBody, QueueState, RunBody } from './input.ts'
import { Message, Usage } from './message.ts'
import { SessionModels } from './model-choice.ts'
import * as query from './query.ts'
import { ElicitationBody, Request, ResumeBody } from './request.ts'
import { Run } from './run.ts'
import {
  Permissions,
  SafetyPolicyInput,
  Session,
  SessionDetails,
  SessionExport,
  SessionRecovery,
  SessionStatus,
  SessionSummary,
  SessionTemplate,
  Snapshot,
  type Summary,
} from './session.ts'

/** One route of the wire: what it takes, what it answers by status, and what it may refuse besides {@link everywhere}. */
export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** With `:name` for parameters. */
  readonly path: string
  /** One sentence for documents. */
  readonly summary: string
  readonly query?: z.ZodType
  readonly body?: z.ZodType
  /** What an empty body stands for; without it an empty body is malformed. */
  readonly emptyBody?: unknown
  /** The body is JSON whatever its content type says, as the ancestor reads it. */
  readonly anyContentType?: true
  /** Answers 200 with server-sent events. */
  readonly stream?: true
  readonly answers: Readonly<Record<number, z.ZodType>>
  readonly refuses: readonly ErrorCode[]
}

/** What every route under `/api` may refuse. */
export const everywhere = [
  'unauthorized',
  'forbidden_origin',
  'starting',
  'shutting_down',
  'store_unavailable',
  'internal',
] as const satisfies readonly ErrorCode[]

/** What every route with a body may refuse besides. */
export const withBody = [
  'invalid_request',
  'unsupported_media_type',
  'request_too_large',
  'overloaded',
] as const satisfies readonly ErrorCode[]

/** Frames of server-sent events; see the events of a session. */
export const EventStream = z.string().describe('text/event-stream')

const Told = z.object({ message: z.string() })
const Updated = z.object({ status: z.literal('updated') })
const Added = z.object({ status: z.literal('added'), message_id: z.string().optional() })
const MessageBody = z.preprocess(withOldAgentName, z.object({ message: Message }))

const endpoint = <const E extends Endpoint>(definition: E): E => definition

/** The whole surface, by name. */
export const endpoints = {
  health: endpoint({
    method: 'GET',
    path: '/health',
    summary: 'Says that the process lives, and which version it is.',
    answers: { 200: z.object({ status: z.literal('ok'), version: z.string() }) },
    refuses: ['forbidden_origin'],
  }),
  ready: endpoint({
    method: 'GET',
    path: '/ready',
    summary: 'Says whether the server takes work, and what is missing. 503 while it starts, drains, or cannot commit.',
    answers: { 200: readiness(), 503: readiness() },
    refuses: ['forbidden_origin'],
  }),
  ping: endpoint({
    method: 'GET',
    path: '/api/ping',
    summary: 'Answers when the token is right.',
    answers: { 200: z.object({ status: z.literal('ok') }) },
    refuses: [],
  }),
  apiReady: endpoint({
    method: 'GET',
    path: '/api/ready',
    summary: 'Waits until the first session of this process was created, attached or run.',
    query: query.ReadyQuery,
    answers: { 200: z.object({ status: z.literal('ready') }) },
    refuses: ['invalid_request', 'wait_timeout'],
  }),

  openApi: endpoint({
    method: 'GET',
    path: '/api/openapi.json',
    summary: 'This surface as an OpenAPI 3.1 document.',
    answers: { 200: z.looseObject({ openapi: z.literal('3.1.0') }) },
    refuses: [],
  }),

  listAgents: endpoint({
    method: 'GET',
    path: '/api/agents',
    summary: 'Lists the agent sources by name; one that cannot be read shows its error.',
    answers: { 200: z.array(AgentSummary) },
    refuses: ['agent_source_unavailable'],
  }),
  getAgent: endpoint({
    method: 'GET',
    path: '/api/agents/:id',
    summary: 'The parsed configuration of a source; literal secrets are masked.',
    answers: { 200: AgentFileView },
    refuses: ['unknown_agent', 'invalid_agent_file', 'agent_source_unavailable'],
  }),
  countTools: endpoint({
    method: 'GET',
    path: '/api/agents/:id/:agent_name/tools/count',
    summary: 'Counts the tools of an agent.',
    answers: { 200: ToolCount },
    refuses: ['unknown_agent', 'invalid_agent_file', 'agent_not_supported', 'agent_source_unavailable'],
  }),

  listSessions: endpoint({
    method: 'GET',
    path: '/api/sessions',
    summary: 'Lists root sessions, newest first; the page that follows is in `Link: rel="next"`.',
    query: query.SessionsQuery,
    answers: { 200: z.array(SessionSummary) },
    refuses: ['invalid_request'],
  }),
  createSession: endpoint({
    method: 'POST',
    path: '/api/sessions',
    summary: 'Creates a session from a template.',
    body: SessionTemplate,
    emptyBody: {},
    answers: { 200: Session },
    refuses: ['invalid_working_dir'],
  }),
  getSession: endpoint({
    method: 'GET',
    path: '/api/sessions/:id',
    summary: 'A session with its transcript.',
    query: query.SessionQuery,
    answers: { 200: SessionDetails },
    refuses: ['invalid_request', 'unknown_session'],
  }),
  getSnapshot: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/snapshot',
    summary: 'All a client needs to draw a session; state and `last_event_seq` are one point.',
    query: query.SessionQuery,
    answers: { 200: Snapshot },
    refuses: ['invalid_request', 'unknown_session'],
  }),
  getStatus: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/status',
    summary: 'Whether a session runs; `wait` waits until it has a runtime.',
    query: query.StatusQuery,
    answers: { 200: SessionStatus },
    refuses: ['invalid_request', 'unknown_session', 'session_not_running', 'wait_timeout'],
  }),
  deleteSession: endpoint({
    method: 'DELETE',
    path: '/api/sessions/:id',
    summary: 'Deletes a session and stops its run; with `wait=true` 202 when the run has not left in time.',
    query: query.DeleteQuery,
    answers: { 200: Told, 202: Told },
    refuses: ['invalid_request', 'unknown_session'],
  }),
  listChildren: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/children',
    summary: 'The sessions that carry out tasks for a session, oldest first.',
    answers: { 200: z.array(SessionSummary) },
    refuses: ['unknown_session'],
  }),
  forkSession: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/fork',
    summary: 'Copies a session as it was before one of its user messages.',
    body: z.object({ user_message_index: z.number().int().default(0) }),
    emptyBody: {},
    answers: { 200: SessionDetails },
    refuses: ['unknown_session'],
  }),
  getRecovery: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/recovery',
    summary: 'A session with its recorded failures.',
    answers: { 200: SessionRecovery },
    refuses: ['unknown_session'],
  }),
  batchDelete: endpoint({
    method: 'POST',
    path: '/api/sessions/batch/delete',
    summary: 'Deletes sessions; waits for no run.',
    body: z.object({ session_ids: z.array(z.string()).nonempty('session_ids cannot be empty') }),
    answers: {
      200: z.object({
        deleted_count: z.number().int(),
        failed_count: z.number().int(),
        failed_ids: z.array(z.string()).optional(),
      }),
    },
    refuses: [],
  }),
  batchExport: endpoint({
    method: 'POST',
    path: '/api/sessions/batch/export',
    summary: 'Exports sessions; `missing_ids` names those that do not exist.',
    body: z.object({
      session_ids: z.array(z.string()).nonempty('session_ids cannot be empty'),
      format: z.string().optional(),
    }),
    answers: {
      200: z.object({
        export_format: z.literal('json'),
        timestamp: z.string(),
        session_count: z.number().int(),
        sessions: z.array(SessionExport),
        missing_ids: z.array(z.string()).optional(),
      }),
    },
    refuses: [],
  }),

  streamRun: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/agent/:agent',
    summary: 'Runs the default agent of a source and streams the run.',
    query: query.RunQuery,
    body: RunBody,
    anyContentType: true,
    stream: true,
    answers: { 200: EventStream },
    refuses: runRefusals(),
  }),
  streamNamedRun: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/agent/:agent/:agent_name',
    summary: 'Runs an agent of a source and streams the run.',
    query: query.RunQuery,
    body: RunBody,
    anyContentType: true,
    stream: true,
    answers: { 200: EventStream },
    refuses: runRefusals(),
  }),
  startRun: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/runs',
    summary: 'Starts a run that no connection is bound to.',
    body: DetachedRunBody,
    answers: { 202: z.object({ run_id: z.string(), session_id: z.string(), first_seq: z.number().int() }) },
    refuses: runRefusals(),
  }),
  listRuns: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/runs',
    summary: 'Lists the runs of a session, newest first; the page that follows is in `Link: rel="next"`.',
    query: query.PageQuery,
    answers: { 200: z.array(Run) },
    refuses: ['invalid_request', 'unknown_session'],
  }),
  getRun: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/runs/:run_id',
    summary: 'How a run stands or ended.',
    answers: { 200: Run },
    refuses: ['unknown_session', 'unknown_run'],
  }),
  cancelRun: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/cancel',
    summary: 'Stops the run that goes on; 202 when it has not ended within `wait` (10 s). Idempotent.',
    query: query.CancelQuery,
    body: z.object({ run_id: z.string().optional(), reason: z.string().max(1000).optional() }),
    emptyBody: {},
    answers: {
      200: z.object({ message: z.string(), run: Run.optional() }),
      202: z.object({ message: z.string(), run: Run.optional() }),
    },
    refuses: ['unknown_session', 'unknown_run'],
  }),

  compact: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/compact',
    summary: 'Replaces the older part of the history by a summary, in a run of its own or before the next model call.',
    body: z.object({ additional_prompt: z.string().max(10_000).optional() }),
    emptyBody: {},
    answers: { 202: z.object({ status: z.enum(['started', 'queued']), run_id: z.string() }) },
    refuses: [
      'unknown_session',
      'session_not_running',
      'compaction_unsupported',
      'unknown_agent',
      'invalid_agent_file',
      'agent_not_supported',
      'agent_source_unavailable',
      'too_many_runs',
    ],
  }),

  getEvents: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/events',
    summary: 'Replays and tails the log of a session, as a stream or, with `Accept: application/json`, as a page.',
    query: query.EventsQuery,
    stream: true,
    answers: { 200: z.union([EventStream, EventPage]) },
    refuses: ['invalid_request', 'unknown_session'],
  }),

  steer: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/steer',
    summary:
      'Adds messages that the run reads before its next model call; an idle session keeps them for its next run.',
    body: QueueBody,
    answers: { 202: z.object({ status: z.literal('queued') }) },
    refuses: ['unknown_session', 'session_not_running', 'steer_queue_full'],
  }),
  followUp: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/followup',
    summary:
      'Adds messages that are read one at each natural stop; an idle session starts a run. Takes `Idempotency-Key`.',
    body: QueueBody,
    answers: { 202: FollowUpAnswer },
    refuses: ['unknown_session', 'session_not_running', 'followup_queue_full'],
  }),
  getQueue: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/queue',
    summary: 'How many messages wait.',
    answers: { 200: QueueState },
    refuses: ['unknown_session', 'session_not_running'],
  }),

  listRequests: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/requests',
    summary: 'The questions that wait for a person, oldest first.',
    answers: { 200: z.array(Request) },
    refuses: ['unknown_session'],
  }),
  resume: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/resume',
    summary: 'Answers an approval: the one that an id names, or the one that is confirmed now.',
    body: ResumeBody,
    answers: { 200: Told },
    refuses: ['unknown_session', 'unknown_request', 'no_pending_request', 'request_settled'],
  }),
  answerElicitation: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/elicitation',
    summary: 'Answers an elicitation: the one that an id names, or the only one.',
    body: ElicitationBody,
    answers: { 200: z.null() },
    refuses: ['unknown_session', 'unknown_request', 'no_pending_request', 'request_settled'],
  }),

  toggleApproval: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/tools/toggle',
    summary: 'Flips between autonomous and the policy before it.',
    answers: { 200: z.null() },
    refuses: ['unknown_session', 'overloaded'],
  }),
  setSafetyPolicy: endpoint({
    method: 'PATCH',
    path: '/api/sessions/:id/safety-policy',
    summary: 'Chooses how much runs without asking; an empty policy is a full reset.',
    body: z.object({ safety_policy: SafetyPolicyInput.default('') }),
    emptyBody: {},
    answers: { 200: Told },
    refuses: ['unknown_session'],
  }),
  setPermissions: endpoint({
    method: 'PATCH',
    path: '/api/sessions/:id/permissions',
    summary: 'Replaces the permissions of a session; null clears them.',
    body: z.object({ permissions: Permissions.nullable().default(null) }),
    emptyBody: {},
    answers: { 200: Told },
    refuses: ['unknown_session'],
  }),
  setTitle: endpoint({
    method: 'PATCH',
    path: '/api/sessions/:id/title',
    summary: 'Sets the title.',
    body: z.object({ title: z.string().default('') }),
    emptyBody: {},
    answers: { 200: z.object({ id: z.string(), title: z.string() }) },
    refuses: ['unknown_session'],
  }),
  setTokens: endpoint({
    method: 'PATCH',
    path: '/api/sessions/:id/tokens',
    summary: 'Sets the token counters, and the cost if it is given.',
    body: z.object({
      input_tokens: z.number().int().nonnegative().default(0),
      output_tokens: z.number().int().nonnegative().default(0),
      cost: z.number().nonnegative().optional(),
    }),
    emptyBody: {},
    answers: { 200: Updated },
    refuses: ['unknown_session'],
  }),
  setStarred: endpoint({
    method: 'PATCH',
    path: '/api/sessions/:id/starred',
    summary: 'Stars a session, or takes the star away.',
    body: z.object({ starred: z.boolean().default(false) }),
    emptyBody: {},
    answers: { 200: Updated },
    refuses: ['unknown_session'],
  }),
  setBudget: endpoint({
    method: 'PATCH',
    path: '/api/sessions/:id/budget',
    summary: 'Changes what a session may spend; a session that a budget has paused goes on.',
    body: Budget,
    emptyBody: {},
    answers: {
      200: z.object({
        budget: Budget.optional(),
        spent: Spending,
        paused: ExceededBudget.optional(),
        run_id: z.string().optional(),
      }),
    },
    refuses: [
      'unknown_session',
      'unknown_agent',
      'invalid_agent_file',
      'agent_not_supported',
      'agent_source_unavailable',
      'too_many_runs',
    ],
  }),
  listModels: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/models',
    summary: 'The models that the agent of a session can be switched to; exactly one is current.',
    answers: { 200: SessionModels },
    refuses: [
      'unknown_session',
      'session_not_running',
      'model_switch_unsupported',
      'unknown_agent',
      'invalid_agent_file',
      'agent_not_supported',
      'agent_source_unavailable',
    ],
  }),

  listMessages: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/messages',
    summary: 'Messages of a session, oldest first; the page that follows is in `Link: rel="next"`.',
    query: query.MessagePageQuery,
    answers: { 200: z.array(Message) },
    refuses: ['invalid_request', 'unknown_session'],
  }),
  addMessage: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/messages',
    summary: 'Adds a message to the transcript.',
    body: MessageBody,
    answers: { 201: Added },
    refuses: ['unknown_session', 'session_busy'],
  }),
  updateMessage: endpoint({
    method: 'PATCH',
    path: '/api/sessions/:id/messages/:msg_id',
    summary: 'Replaces a message of the transcript.',
    body: MessageBody,
    answers: { 200: Updated },
    refuses: ['unknown_session', 'unknown_message', 'session_busy'],
  }),
  addSummary: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/summaries',
    summary: 'Adds a summary that stands for the history before it.',
    body: summaryBody(),
    answers: { 201: Added },
    refuses: ['unknown_session', 'session_busy'],
  }),
} as const satisfies Readonly<Record<string, Endpoint>>

export type EndpointName = keyof typeof endpoints

export const endpointNames = Object.keys(endpoints) as readonly EndpointName[]

function readiness() {
  return z.object({
    ready: z.boolean(),
    /** Sessions that run now. */
    active_sessions: z.number().int(),
    store_connected: z.boolean(),
    latest_error: z.string().optional(),
  })
}

function runRefusals() {
  return [
    'unknown_session',
    'unknown_agent',
    'invalid_agent_file',
    'agent_not_supported',
    'agent_source_unavailable',
    'invalid_model',
    'model_switch_unsupported',
    'session_busy',
    'too_many_runs',
  ] as const
}

/** `tokens` is the ancestor's old name of `first_kept_entry`. */
function summaryBody() {
  const controlCharacters = /^[^\p{Cc}]*$/u
  return z
    .object({
      summary: z.string().min(1),
      first_kept_entry: z.number().int().nonnegative().optional(),
      tokens: z.number().int().nonnegative().optional(),
      cost: z.number().nonnegative().optional(),
      model: z.string().max(256).regex(controlCharacters, 'must not hold control characters').optional(),
      usage: Usage.partial().nullish(),
    })
    .transform(({ tokens, usage, first_kept_entry = tokens, ...summary }): Summary => {
      const { input_tokens = 0, output_tokens = 0, cached_input_tokens = 0, cached_write_tokens = 0 } = usage ?? {}
      const isZero = input_tokens + output_tokens + cached_input_tokens + cached_write_tokens === 0
      const counted = { ...usage, input_tokens, output_tokens, cached_input_tokens, cached_write_tokens }
      return {
        ...summary,
        ...(first_kept_entry === undefined ? {} : { first_kept_entry }),
        ...(isZero ? {} : { usage: counted }),
      }
    })
}

/** Early clients write `agentName`. */
function withOldAgentName(body: unknown): unknown {
  if (!isObject(body) || !isObject(body.message)) return body
  const { agentName = '', ...message } = body.message
  return { ...body, message: { agent_name: agentName, ...message } }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
