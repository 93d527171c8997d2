import { type EndpointName, type ErrorCode, queueCapacity } from '../../src/protocol/protocol.ts'
import type { Bench, BenchOptions } from './bench.ts'
import type { Outcome, Request } from './client.ts'

type Arrange = (bench: Bench) => Request | Promise<Request>

/** How to get an outcome. */
export interface Case extends Outcome {
  readonly arrange: Arrange
  readonly bench?: BenchOptions
}

const messages = [{ role: 'user', content: 'hello' }]
const message = { message: { agent_name: '', message: { role: 'user', content: 'changed' } } }

const none: Arrange = () => ({})
const idle =
  (request: Request = {}): Arrange =>
  async (bench) => ({ params: { id: await bench.session() }, ...request })
const after =
  (request: Request = {}): Arrange =>
  async (bench) => ({ params: { id: (await bench.ran()).id }, ...request })
const during =
  (agent: string, request: Request = {}): Arrange =>
  async (bench) => ({
    params: { id: (await bench.running(agent)).id },
    ...request,
  })
const agent =
  (id: string): Arrange =>
  () => ({ params: { id, agent_name: 'root' } })
const run =
  (name: string, more: object = {}): Arrange =>
  async (bench) => ({
    params: { id: await bench.session(), agent: name, agent_name: 'root' },
    body: { agent: name, messages, ...more },
  })
const onMessage =
  (agentName: string): Arrange =>
  async (bench) => {
    const { id } = await bench.ran()
    const [first] = (await bench.manager.getMessages(id, { limit: 1, from: 0 })).messages
    if (agentName !== 'echo') await bench.manager.runSession(id, { source: agentName }, { messages })
    return { params: { id, msg_id: first?.id ?? '' }, body: message }
  }
const asked =
  (which: 'asker' | 'elicitor', body: object): Arrange =>
  async (bench) => ({
    params: { id: (await bench.asking(which)).id },
    body,
  })
const ofRequest =
  (which: 'asker' | 'elicitor', body?: object): Arrange =>
  async (bench) => {
    const { id, requestId } = await bench.asking(which)
    return { params: { id, request_id: requestId }, ...(body && { body }) }
  }
const settled =
  (which: 'asker' | 'elicitor', body: object): Arrange =>
  async (bench) => {
    const { id, requestId } = await bench.asking(which)
    const request = { params: { id }, body: { ...body, request_id: requestId } }
    await bench.client.call(which === 'asker' ? 'resume' : 'answerElicitation', request)
    return request
  }
const modelsOf =
  (source: string): Arrange =>
  async (bench) => ({ params: { id: (await bench.ran(source)).id } })
const ranBefore =
  (source: string, code: ErrorCode): Arrange =>
  async (bench) => {
    const { id } = await bench.ran(source)
    bench.agents.become(source, code)
    return { params: { id } }
  }

/** A session that has run, while another one runs. */
const behind =
  (source: string): Arrange =>
  async (bench) => {
    const { id } = await bench.ran(source)
    await bench.running('gated')
    return { params: { id } }
  }

/** A session with a follow-up that waits behind a run. */
const onInput =
  (request: Request = {}, text = 'waits'): Arrange =>
  async (bench) => {
    const { id } = await bench.running('gated')
    await bench.manager.followUpSession(id, [{ content: text }])
    const [input] = await bench.manager.getInputs(id)
    return { params: { id, input_id: input?.id ?? '' }, ...request }
  }

/** The same, when it has been taken back. */
const onSettledInput: Arrange = async (bench) => {
  const request = await onInput({ body: { held: true } })(bench)
  await bench.client.call('cancelInput', request)
  return request
}

const onUnknownInput = during('gated', { body: { held: true } })

/** A follow-up that waits behind a run, and a full queue of the other kind. */
const beforeFull =
  (kind: 'steer' | 'followup', count: number): Arrange =>
  async (bench) => {
    const { id } = await bench.running('gated')
    const many = Array.from({ length: count }, () => ({ content: 'x' }))
    const one = [{ content: 'one' }]
    await bench.manager.steerSession(id, kind === 'steer' ? many : one)
    await bench.manager.followUpSession(id, kind === 'followup' ? many : one)
    const input = (await bench.manager.getInputs(id)).find((waiting) => waiting.kind !== kind)
    return { params: { id, input_id: input?.id ?? '' }, body: { kind } }
  }

/** A request that succeeds, for each endpoint. */
export const requests: Readonly<Record<EndpointName, Arrange>> = {
  health: none,
  ready: none,
  ping: none,
  apiReady: async (bench) => {
    await bench.session()
    return {}
  },
  openApi: none,
  listAgents: none,
  getAgent: agent('echo'),
  countTools: agent('echo'),
  listSessions: none,
  createSession: () => ({ body: { title: ' A title ', safety_policy: 'unsafe', unknown: true } }),
  getSession: after(),
  getSnapshot: after(),
  getStatus: after(),
  explain: after(),
  deleteSession: after(),
  listChildren: after(),
  forkSession: after({ body: { user_message_index: 0 } }),
  getRecovery: after(),
  batchDelete: async (bench) => ({ body: { session_ids: [await bench.session(), 'none'] } }),
  batchExport: async (bench) => ({ body: { session_ids: [(await bench.ran()).id, 'none'] } }),
  streamRun: run('echo'),
  streamNamedRun: run('echo', { model: 'test/other' }),
  startRun: run('echo'),
  listRuns: after(),
  getRun: async (bench) => {
    const { id, runId } = await bench.ran()
    return { params: { id, run_id: runId } }
  },
  cancelRun: during('gated', { body: { reason: 'enough' } }),
  compact: after(),
  getEvents: after({ query: { follow: 'false' } }),
  getFleetEvents: () => ({ query: { follow: 'false' } }),
  getFleetSnapshot: none,
  steer: after({ body: { messages } }),
  followUp: after({ body: { messages } }),
  getQueue: after(),
  listInputs: onInput(),
  addInputs: after({ body: { messages } }),
  getInput: onInput(),
  updateInput: onInput({ body: { message: { content: 'better' }, held: true } }),
  cancelInput: onInput(),
  listRequests: async (bench) => ({ params: { id: (await bench.asking('asker')).id } }),
  listInbox: async (bench) => {
    await bench.asking('asker')
    return { query: { kind: 'approval' } }
  },
  getRequest: ofRequest('asker'),
  answerRequest: ofRequest('elicitor', { action: 'decline' }),
  resume: asked('asker', { confirmation: 'approve-safe' }),
  answerElicitation: asked('elicitor', { action: 'accept', content: { name: 'x' } }),
  toggleApproval: idle(),
  setSafetyPolicy: idle({ body: { safety_policy: 'strict' } }),
  setPermissions: idle({ body: { permissions: { allow: ['shell'] } } }),
  setTitle: idle({ body: { title: 'new' } }),
  setTokens: idle({ body: { input_tokens: 1, output_tokens: 2 } }),
  setStarred: idle({ body: { starred: true } }),
  setRequestDeadline: idle({ body: { request_deadline: '12h' } }),
  setRecovery: idle({ body: { recovery: 'ask' } }),
  setBudget: idle({ body: { max_cost: 1 } }),
  listModels: after(),
  listMessages: after(),
  addMessage: idle({ body: message }),
  updateMessage: onMessage('echo'),
  addSummary: idle({ body: { summary: 'what was' } }),
}

const row = (
  endpoint: EndpointName,
  status: number,
  code: ErrorCode | undefined,
  arrange: Arrange,
  bench?: BenchOptions,
): Case => ({
  endpoint,
  status,
  code,
  arrange,
  ...(bench === undefined ? {} : { bench }),
})

const bad =
  (query: Record<string, string>) =>
  (endpoint: EndpointName): Case =>
    row(endpoint, 400, 'invalid_request', idle({ query }))

/** A request that wants to be refused by a busy session. */
const refusing =
  (arrange: Arrange): Arrange =>
  async (bench) => ({ ...(await arrange(bench)), body: { agent: 'echo', messages, if_busy: 'reject' } })

function runRows(endpoint: 'streamRun' | 'streamNamedRun' | 'startRun' | 'addInputs'): readonly Case[] {
  const busy: Arrange = async (bench) => ({
    ...(await run('echo')(bench)),
    params: { ...(await run('echo')(bench)).params, id: (await bench.running('gated')).id },
  })
  const other: Arrange = async (bench) => {
    await bench.running('gated')
    return run('echo')(bench)
  }
  const full =
    (kind: 'steer' | 'followup', if_busy: string): Arrange =>
    async (bench) => {
      const request = await busy(bench)
      const many = Array.from({ length: queueCapacity[kind] }, () => ({ content: 'x' }))
      const id = request.params?.id ?? ''
      await (kind === 'steer' ? bench.manager.steerSession(id, many) : bench.manager.followUpSession(id, many))
      return { ...request, body: { agent: 'echo', messages, if_busy } }
    }
  return [
    row(endpoint, 404, 'unknown_agent', run('ghost')),
    row(endpoint, 422, 'invalid_agent_file', run('damaged')),
    row(endpoint, 422, 'agent_not_supported', run('later')),
    row(endpoint, 502, 'agent_source_unavailable', run('away')),
    row(endpoint, 422, 'invalid_model', run('echo', { model: 'nowhere/model' })),
    row(endpoint, 422, 'model_switch_unsupported', run('fixed', { model: 'test/other' })),
    row(endpoint, 409, 'session_busy', endpoint === 'addInputs' ? refusing(busy) : busy),
    row(endpoint, 429, 'steer_queue_full', full('steer', 'steer')),
    row(endpoint, 429, 'followup_queue_full', full('followup', 'enqueue')),
    row(endpoint, 429, 'too_many_runs', other, { manager: { maxConcurrentRuns: 1 } }),
  ]
}

/** What is refused because the agent of a session that has run is not what it was. */
function changedRows(endpoint: 'listModels' | 'compact' | 'setBudget', source: string): readonly Case[] {
  return [
    row(endpoint, 404, 'unknown_agent', ranBefore(source, 'unknown_agent')),
    row(endpoint, 422, 'invalid_agent_file', ranBefore(source, 'invalid_agent_file')),
    row(endpoint, 422, 'agent_not_supported', ranBefore(source, 'agent_not_supported')),
    row(endpoint, 502, 'agent_source_unavailable', ranBefore(source, 'agent_source_unavailable')),
  ]
}

function agentRows(endpoint: 'getAgent' | 'countTools'): readonly Case[] {
  return [
    row(endpoint, 404, 'unknown_agent', agent('ghost')),
    row(endpoint, 422, 'invalid_agent_file', agent('damaged')),
    row(endpoint, 502, 'agent_source_unavailable', agent('away')),
  ]
}

/** What the endpoints answer besides their first success and what all of them refuse. */
export const special: readonly Case[] = [
  row('ready', 503, undefined, none, { started: false }),
  row('apiReady', 400, 'invalid_request', () => ({ query: { timeout: '5' } })),
  row('apiReady', 503, 'wait_timeout', () => ({ query: { timeout: '1ms' } })),
  row('listAgents', 502, 'agent_source_unavailable', (bench) => {
    bench.agents.refuse('agent_source_unavailable')
    return {}
  }),
  ...agentRows('getAgent'),
  ...agentRows('countTools'),
  row('countTools', 422, 'agent_not_supported', agent('later')),
  bad({ limit: '0' })('listSessions'),
  row('createSession', 400, 'invalid_working_dir', () => ({ body: { working_dir: '/no/such/directory' } })),
  bad({ messages: 'last:x' })('getSession'),
  bad({ messages: 'some' })('getSnapshot'),
  bad({ wait: 'soon' })('getStatus'),
  row('getStatus', 404, 'session_not_running', idle()),
  row('getStatus', 503, 'wait_timeout', idle({ query: { wait: '1ms' } })),
  row('deleteSession', 202, undefined, during('stubborn', { query: { wait: 'true', timeout: '1ms' } })),
  bad({ timeout: '10' })('deleteSession'),
  ...runRows('streamRun'),
  ...runRows('streamNamedRun'),
  ...runRows('startRun'),
  ...runRows('addInputs'),
  row('addInputs', 409, 'session_not_running', idle({ body: { messages } })),
  bad({ limit: '1001' })('listRuns'),
  row('getRun', 404, 'unknown_run', idle()),
  row('cancelRun', 202, undefined, during('stubborn', { query: { wait: '1ms' } })),
  row('cancelRun', 404, 'unknown_run', idle({ body: { run_id: 'none' } })),
  row('compact', 409, 'session_not_running', idle()),
  row('compact', 422, 'compaction_unsupported', modelsOf('fixed')),
  ...changedRows('compact', 'echo'),
  row('compact', 429, 'too_many_runs', behind('echo'), { manager: { maxConcurrentRuns: 1 } }),
  bad({ since: '-1' })('getEvents'),
  row('getFleetEvents', 400, 'invalid_request', () => ({ query: { children: 'perhaps' } })),
  row('getFleetSnapshot', 400, 'invalid_request', () => ({ query: { limit: '0' } })),
  row('steer', 409, 'session_not_running', idle({ body: { messages } })),
  row('steer', 429, 'steer_queue_full', during('gated', { body: { messages: Array(6).fill({ content: 'x' }) } })),
  row('followUp', 409, 'session_not_running', idle({ body: { messages } })),
  row(
    'followUp',
    429,
    'followup_queue_full',
    during('gated', { body: { messages: Array(21).fill({ content: 'x' }) } }),
  ),
  row('getQueue', 404, 'session_not_running', idle()),
  bad({ state: 'some' })('listInputs'),
  row('getInput', 404, 'unknown_input', during('gated')),
  row('updateInput', 404, 'unknown_input', onUnknownInput),
  row('updateInput', 409, 'input_settled', onSettledInput),
  row('updateInput', 429, 'steer_queue_full', beforeFull('steer', 5)),
  row('updateInput', 429, 'followup_queue_full', beforeFull('followup', 20)),
  row('cancelInput', 404, 'unknown_input', onUnknownInput),
  row('cancelInput', 409, 'input_settled', onSettledInput),
  bad({ state: 'half' })('listRequests'),
  bad({ kind: 'riddle' })('listInbox'),
  row('getRequest', 404, 'unknown_request', idle()),
  row('answerRequest', 404, 'unknown_request', idle({ body: { action: 'cancel' } })),
  row('answerRequest', 409, 'request_settled', async (bench) => {
    const request = await ofRequest('elicitor', { action: 'cancel' })(bench)
    await bench.client.call('answerRequest', request)
    return request
  }),
  row('resume', 404, 'unknown_request', idle({ body: { confirmation: 'approve', request_id: 'none' } })),
  row('resume', 409, 'no_pending_request', idle({ body: { confirmation: 'approve' } })),
  row('resume', 409, 'request_settled', settled('asker', { confirmation: 'reject' })),
  row('answerElicitation', 404, 'unknown_request', idle({ body: { action: 'cancel', elicitation_id: 'none' } })),
  row('answerElicitation', 409, 'no_pending_request', idle({ body: { action: 'cancel' } })),
  row('answerElicitation', 409, 'request_settled', settled('elicitor', { action: 'decline' })),
  row('listModels', 404, 'session_not_running', idle()),
  row('listModels', 422, 'model_switch_unsupported', modelsOf('fixed')),
  ...changedRows('listModels', 'echo'),
  ...changedRows('setBudget', 'spender'),
  row('setBudget', 429, 'too_many_runs', behind('spender'), { manager: { maxConcurrentRuns: 1 } }),
  bad({ cursor: 'x' })('listMessages'),
  row('addMessage', 409, 'session_busy', during('gated', { body: message })),
  row('updateMessage', 404, 'unknown_message', idle({ body: message })),
  row('updateMessage', 409, 'session_busy', onMessage('gated')),
  row('addSummary', 409, 'session_busy', during('gated', { body: { summary: 'x' } })),
]

/** What an endpoint cannot answer although the table says it of all endpoints of its kind, and why. */
export const impossible: Partial<Record<ErrorCode, readonly EndpointName[]>> = {
  // They ask neither the store nor the agents; a batch counts what failed.
  internal: ['ping', 'apiReady', 'openApi', 'batchDelete'],
  // They commit nothing of their own; a batch counts what failed.
  store_unavailable: [
    'ping',
    'apiReady',
    'openApi',
    'listAgents',
    'getAgent',
    'countTools',
    'listSessions',
    'getSession',
    'getSnapshot',
    'getStatus',
    'explain',
    'listChildren',
    'getRecovery',
    'batchDelete',
    'batchExport',
    'listRuns',
    'getRun',
    'getEvents',
    'getFleetEvents',
    'getFleetSnapshot',
    'getQueue',
    'listInputs',
    'getInput',
    'listRequests',
    'listInbox',
    'getRequest',
    'listModels',
    'listMessages',
  ],
  // Getting rid of work is never refused for want of room.
  overloaded: ['batchDelete', 'batchExport', 'cancelRun'],
}
