import { z } from 'zod'
import { Budget, ExceededBudget, Spending } from '../budget.ts'
import { SessionModels } from '../model-choice.ts'
import { RequestDeadline } from '../request.ts'
import { Recovery } from '../run.ts'
import { Permissions, SafetyPolicyInput, TitleInput } from '../session.ts'
import { endpoint, Told, Updated } from './endpoint.ts'

/** What is chosen for a session. */
export const settingEndpoints = {
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
    body: z.object({ title: TitleInput.default('') }),
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
  setRecovery: endpoint({
    method: 'PATCH',
    path: '/api/sessions/:id/recovery-policy',
    summary: "Chooses what becomes of a session's run when the server stops before it has ended.",
    body: z.object({ recovery: Recovery.optional() }),
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
  setRequestDeadline: endpoint({
    method: 'PATCH',
    path: '/api/sessions/:id/request-deadline',
    summary: 'Chooses how long the questions to come may stay open; an empty one leaves it to the server.',
    body: z.object({ request_deadline: RequestDeadline.default('') }),
    emptyBody: {},
    answers: { 200: Told },
    refuses: ['unknown_session'],
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
} as const
