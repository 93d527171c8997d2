import { newId, type SafetyPolicy, type SessionTemplate } from '../../protocol/protocol.ts'
import type { SessionRecord, TaskOrigin } from '../../store/store.ts'

/** A new session as its creator wants it. `working_dir` is checked already. */
export function newRecord(template: SessionTemplate, working_dir: string | undefined): SessionRecord {
  const policy = template.safety_policy ?? (template.tools_approved === true ? 'autonomous' : undefined)
  return {
    id: newId(),
    title: template.title ?? '',
    created_at: new Date().toISOString(),
    ...chosenPolicy(policy ?? ''),
    policy_pending: policy === undefined || policy === '',
    hide_tool_results: false,
    SendUserMessage: true,
    working_dir,
    max_iterations: template.max_iterations ?? 0,
    max_consecutive_tool_calls: template.max_consecutive_tool_calls,
    max_old_tool_call_tokens: template.max_old_tool_call_tokens,
    max_tool_result_tokens: template.max_tool_result_tokens,
    permissions: template.permissions ?? undefined,
    attributes: template.attributes ?? undefined,
    agent_model_overrides: template.agent_model_overrides ?? undefined,
    custom_models_used: template.custom_models_used ?? undefined,
    request_deadline: template.request_deadline || undefined,
    budget: template.budget ?? undefined,
    recovery: template.recovery,
    starred: false,
    input_tokens: 0,
    output_tokens: 0,
    cost: 0,
    num_items: 0,
    num_messages: 0,
  }
}

/** A session that carries out a task for another: it begins with a copy of what was chosen for that one. */
export function childRecord(
  parent: SessionRecord,
  task: { readonly title: string; readonly isBackground: boolean },
  task_of: TaskOrigin,
): SessionRecord {
  return {
    ...newRecord({ title: task.title }, parent.working_dir),
    ...sharedOf(parent),
    policy_pending: false,
    SendUserMessage: false,
    agent_model_overrides: parent.agent_model_overrides,
    custom_models_used: parent.custom_models_used,
    ...(task.isBackground || parent.non_interactive === true ? { non_interactive: true } : {}),
    parent_id: parent.id,
    task_of,
  }
}

/** What holds for all that work for a session, as it is now: which tool calls run, and whether a run goes on after a restart. */
export function sharedOf(record: SessionRecord): PolicySettings & Pick<SessionRecord, 'permissions' | 'recovery'> {
  const { safety_policy, prior_safety_policy, tools_approved, permissions, recovery } = record
  return { safety_policy, prior_safety_policy, tools_approved, permissions, recovery }
}

type PolicySettings = Pick<SessionRecord, 'safety_policy' | 'prior_safety_policy' | 'tools_approved'>

/** The settings of a policy that somebody chose; the memory of the toggle is cleared. */
export function chosenPolicy(policy: SafetyPolicy): PolicySettings {
  return {
    safety_policy: policy === '' ? undefined : policy,
    prior_safety_policy: undefined,
    tools_approved: policy === 'autonomous',
  }
}

/** Flips between autonomous and the policy before it. */
export function toggledPolicy({ safety_policy = '', prior_safety_policy = '' }: SessionRecord): PolicySettings {
  if (safety_policy === 'autonomous') return chosenPolicy(prior_safety_policy)
  return { ...chosenPolicy('autonomous'), prior_safety_policy: safety_policy }
}

/** Title of the next fork: the root's title with the next free number. An empty title stays empty. */
export function forkTitle(title: string, titlesLike: (prefix: string) => readonly string[]): string {
  if (title === '') return ''
  const root = rootTitle(title)
  const taken = titlesLike(`${root} (fork `).flatMap((sibling) => {
    const number = forkSuffix.exec(sibling)?.[1]
    return number === undefined || rootTitle(sibling) !== root ? [] : [Number(number)]
  })
  return `${root} (fork ${Math.max(0, ...taken) + 1})`
}

const forkSuffix = / \(fork (\d+)\)$/

function rootTitle(title: string): string {
  return title.replace(forkSuffix, '')
}
