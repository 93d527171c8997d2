import type { Confirmation, SafetyPolicy, Tool } from '../protocol/protocol.ts'
import { findRule, grantsInWords, type PermissionTiers } from './permissions.ts'
import { assess, isSimpleCommand, modeTable, safetyMetadata, shellCommand } from './safety.ts'

/** Who let a call run, refused it or asked: stable strings for clients, hooks and audits. */
export type DecisionSource =
  | 'yolo'
  | `${'session' | 'team'}_permissions_${'allow' | 'deny' | 'ask'}`
  | `pre_tool_use_hook_${'allow' | 'deny' | 'ask'}`
  | `permission_request_hook_${'allow' | 'deny'}`
  | 'readonly_hint'
  | `mode_${'strict' | 'balanced' | 'restricted' | 'legacy'}`
  | `user_approved${'' | '_balanced' | '_autonomous' | '_tool'}`
  | 'user_rejected'
  | 'context_canceled'
  | 'non_interactive_deny'

/** The source to report for what a person said. */
export const verdictSources: Readonly<Record<Confirmation, DecisionSource>> = {
  approve: 'user_approved',
  'approve-balanced': 'user_approved_balanced',
  'approve-autonomous': 'user_approved_autonomous',
  'approve-tool': 'user_approved_tool',
  reject: 'user_rejected',
}

/** A call that wants to run, and the settings of this moment: read them anew for each call. */
export interface CallInQuestion {
  readonly tool: Tool
  /** Parsed arguments. */
  readonly args: unknown
  readonly permissions: PermissionTiers
  readonly policy: SafetyPolicy
  /** False when nobody can be asked. */
  readonly interactive: boolean
  /** What the toolset tells people about this tool. */
  readonly metadata?: Readonly<Record<string, string>> | undefined
}

/** What the hooks of one stage say together about a call. */
export interface HookOpinion {
  readonly decision: 'allow' | 'deny' | 'ask' | undefined
  readonly reason: string | undefined
  /** Arguments to go on with instead. */
  readonly updatedInput: unknown
  readonly metadata: Readonly<Record<string, string>>
}

/** The hooks that have a say, by stage. They reject with the signal's reason after an abort, and never else. */
export interface DecisionHooks {
  /** `pre_tool_use` marked `preempt_yolo`. */
  preempt(args: unknown): Promise<HookOpinion>
  /** Other `pre_tool_use`. */
  preToolUse(args: unknown): Promise<HookOpinion>
  permissionRequest(args: unknown): Promise<HookOpinion>
}

/** What becomes of a call. `args` are what to run or to ask about: hooks may have rewritten them. */
export interface Decision {
  readonly outcome: 'allow' | 'deny' | 'ask'
  readonly source: DecisionSource
  /** For the person who is asked, or for the model that is refused. */
  readonly reason: string | undefined
  readonly args: unknown
  /** For the confirmation. */
  readonly metadata: Readonly<Record<string, string>>
  /** An `ask` that neither a policy nor the team's rules lift: a guard or the session itself wants a person. */
  readonly mandatory: boolean
}

/**
 * Decides whether a call runs, is refused or needs a person. In this order, the first that decides wins:
 * 0 preempting hooks, 1 rules, 2 the policy's table, 3 ordinary hooks, 4 read-only tools where no policy was chosen,
 * 5 permission hooks, 6 a person. Arguments that hooks rewrite go through 0 and 1 again, where they can only lose.
 */
export async function decide(question: CallInQuestion, hooks: DecisionHooks): Promise<Decision> {
  const first = await guard(begin(question), hooks)
  const early = first.decision ?? byMode(first.state)
  if (early !== undefined) return withoutPerson(question, early)
  return withoutPerson(question, await beforeAsking(first.state, hooks))
}

/**
 * What settings that have changed since make of a call that waits for a person: `undefined` when it goes on waiting. No
 * hook runs again.
 */
export function reconsider(question: CallInQuestion, asked: Decision): Decision | undefined {
  const state: State = { ...begin(question), args: asked.args, guardMetadata: asked.metadata }
  const isHooks = asked.mandatory && asked.source === 'pre_tool_use_hook_ask'
  const found = isHooks ? despiteGuard(state, asked.reason) : (byRules(state) ?? byMode(state))
  return found === undefined || found.outcome === 'ask' ? undefined : found
}

interface State {
  readonly question: CallInQuestion
  readonly args: unknown
  /** Of preempting hooks. */
  readonly guardMetadata: Readonly<Record<string, string>>
  /** Of everything before the label. */
  readonly metadata: Readonly<Record<string, string>>
}

function begin(question: CallInQuestion): State {
  return { question, args: question.args, guardMetadata: {}, metadata: question.metadata ?? {} }
}

interface Guarded {
  readonly state: State
  readonly decision: Decision | undefined
}

/** Steps 0 and 1. */
async function guard(before: State, hooks: DecisionHooks): Promise<Guarded> {
  const opinion = await hooks.preempt(before.args)
  const guardMetadata = { ...before.guardMetadata, ...opinion.metadata }
  const state = { ...before, args: opinion.updatedInput ?? before.args, guardMetadata }
  if (opinion.decision === 'deny') {
    return { state, decision: settle(state, 'deny', 'pre_tool_use_hook_deny', opinion.reason) }
  }
  return { state, decision: opinion.decision === 'ask' ? despiteGuard(state, opinion.reason) : byRules(state) }
}

/** A guard wants a person: rules may still refuse, and a grant of the session stands for the person. */
function despiteGuard(state: State, reason: string | undefined): Decision {
  const decision = byRules(state)
  if (decision?.outcome === 'deny') return decision
  if (decision?.source === 'session_permissions_allow' && grantStandsForPerson(state)) return decision
  return settle(state, 'ask', 'pre_tool_use_hook_ask', reason, true)
}

/** For shells only what was meant: one program, and no other word than the grant has. */
function grantStandsForPerson({ question: { tool, permissions }, args }: State): boolean {
  const command = shellCommand(tool, args)
  if (command === undefined) return true
  return isSimpleCommand(command) && grantsInWords(permissions, tool.name, matchable(tool, args))
}

/** Step 1. */
function byRules(state: State): Decision | undefined {
  const { tool, permissions, policy } = state.question
  const rule = findRule(permissions, tool.name, matchable(tool, state.args))
  if (rule === undefined || (rule.tier === 'team' && rule.effect === 'ask' && overridesAdvice[policy])) return undefined
  const reason = `The rule "${rule.pattern}" of the ${rule.tier} decides.`
  const isMandatory = rule.tier === 'session' && rule.effect === 'ask'
  return settle(state, rule.effect, `${rule.tier}_permissions_${rule.effect}`, reason, isMandatory)
}

/** Where an `ask` of the team's author is no more than advice. */
const overridesAdvice: Readonly<Record<SafetyPolicy, boolean>> = {
  strict: false,
  balanced: true,
  restricted: true,
  autonomous: true,
  '': false,
}

const modeSources: Readonly<Record<SafetyPolicy, DecisionSource>> = {
  strict: 'mode_strict',
  balanced: 'mode_balanced',
  restricted: 'mode_restricted',
  autonomous: 'yolo',
  '': 'mode_legacy',
}

/** Step 2; `undefined` when the table says ask. */
function byMode(state: State): Decision | undefined {
  const { tool, policy } = state.question
  const { label, reason } = assess(tool, state.args)
  const outcome = modeTable[policy][label]
  return outcome === 'ask' ? undefined : settle(state, outcome, modeSources[policy], reason)
}

/** Steps 3 to 6. */
async function beforeAsking(state: State, hooks: DecisionHooks): Promise<Decision> {
  const ordinary = await consult(state, hooks, (args) => hooks.preToolUse(args))
  const { decision, reason } = ordinary.opinion
  if (decision === 'deny') return settle(ordinary.state, 'deny', 'pre_tool_use_hook_deny', reason)
  if (ordinary.refused !== undefined) return ordinary.refused
  if (decision !== undefined) return settle(ordinary.state, decision, `pre_tool_use_hook_${decision}`, reason)
  const { policy, tool } = state.question
  if (policy === '' && tool.annotations.readOnlyHint) return settle(ordinary.state, 'allow', 'readonly_hint')

  const last = await consult(ordinary.state, hooks, (args) => hooks.permissionRequest(args))
  const asked = { ...last.state, metadata: { ...last.state.metadata, ...last.opinion.metadata } }
  if (last.opinion.decision === 'deny') {
    return settle(asked, 'deny', 'permission_request_hook_deny', last.opinion.reason)
  }
  if (last.refused !== undefined) return last.refused
  if (last.opinion.decision === 'allow') {
    return settle(asked, 'allow', 'permission_request_hook_allow', last.opinion.reason)
  }
  return settle(asked, 'ask', modeSources[policy], last.opinion.reason)
}

interface Consulted {
  readonly state: State
  readonly opinion: HookOpinion
  /** What guards and rules have against the arguments that the hooks have written. */
  readonly refused: Decision | undefined
}

async function consult(
  before: State,
  hooks: DecisionHooks,
  ask: (args: unknown) => Promise<HookOpinion>,
): Promise<Consulted> {
  const opinion = await ask(before.args)
  if (opinion.updatedInput === undefined || opinion.decision === 'deny') {
    return { state: before, opinion, refused: undefined }
  }
  const { state, decision } = await guard({ ...before, args: opinion.updatedInput }, hooks)
  return { state, opinion, refused: decision?.outcome === 'allow' ? undefined : decision }
}

function settle(
  state: State,
  outcome: Decision['outcome'],
  source: DecisionSource,
  reason?: string,
  mandatory = false,
): Decision {
  const { tool } = state.question
  const safety = assess(tool, state.args)
  const why = reason === undefined ? safety : { ...safety, reason }
  const metadata = { ...state.metadata, ...safetyMetadata(why), ...state.guardMetadata }
  return { outcome, source, reason: why.reason, args: state.args, metadata, mandatory }
}

function withoutPerson(question: CallInQuestion, decision: Decision): Decision {
  if (decision.outcome !== 'ask' || question.interactive) return decision
  const reason = 'The call needs approval, and nobody can be asked.'
  return { ...decision, outcome: 'deny', source: 'non_interactive_deny', reason, mandatory: false }
}

/** Arguments as rules see them: a command has one name, however the model wrote it. */
function matchable(tool: Tool, args: unknown): unknown {
  const command = shellCommand(tool, args)
  if (command === undefined || typeof args !== 'object') return args
  return { ...args, cmd: command }
}
