import type {
  Item,
  Message,
  Session,
  SessionDetails,
  SessionExport,
  SessionRecovery,
  SessionSettings,
  SessionStatus,
  SessionSummary,
  Snapshot,
} from '../../protocol/protocol.ts'
import type { DamagedSession, SessionRecord } from '../../store/store.ts'
import type { BudgetState } from '../answers.ts'
import { type TreeItem, toAllMessages } from '../state/session-tree.ts'
import { noSpending } from '../state/spending.ts'
import { toItem, visible } from '../state/transcript.ts'

/** What a record holds beyond the session that clients know; all of it, by type. */
const kept: Readonly<Record<Exclude<keyof SessionRecord, keyof Session>, undefined>> = {
  agent: undefined,
  policy_pending: undefined,
  num_items: undefined,
  num_messages: undefined,
  task_of: undefined,
  compaction: undefined,
}

/** A session as the ancestor's clients know it, whole. */
export function toSession(record: SessionRecord, items: readonly TreeItem[]): Session {
  const messages = visible(items).map(shown)
  return { ...record, ...kept, messages: messages.length === 0 ? null : messages }
}

/** An item as the wire shows it, with the whole session that it stands for. */
function shown(item: TreeItem): Item {
  const { below } = item
  return below === undefined ? toItem(item) : { sub_session: toSession(below.record, below.items) }
}

export function toSummary(record: SessionRecord, streaming: boolean): SessionSummary {
  return {
    id: record.id,
    title: record.title,
    created_at: record.created_at,
    num_messages: record.num_messages,
    input_tokens: record.input_tokens,
    output_tokens: record.output_tokens,
    working_dir: record.working_dir,
    ...(streaming ? { streaming } : {}),
    ...(record.starred ? { starred: true } : {}),
    agent: record.agent?.source,
    parent_id: record.parent_id,
    paused: record.paused,
  }
}

/** One whose record cannot be read, as far as anything is known of it. */
export function toDamagedSummary({ starred, ...known }: DamagedSession): SessionSummary {
  const unknown = { num_messages: 0, input_tokens: 0, output_tokens: 0 }
  return { ...known, ...unknown, ...(starred ? { starred } : {}) }
}

export function toDetails(record: SessionRecord, messages: readonly Message[] | undefined): SessionDetails {
  return {
    id: record.id,
    title: record.title,
    ...(messages === undefined || messages.length === 0 ? {} : { messages: [...messages] }),
    created_at: record.created_at,
    tools_approved: record.tools_approved,
    safety_policy: record.safety_policy,
    input_tokens: record.input_tokens,
    output_tokens: record.output_tokens,
    working_dir: record.working_dir,
    permissions: record.permissions,
    starred: record.starred,
    attributes: record.attributes,
    agent_model_overrides: record.agent_model_overrides,
    ...restOf(record),
  }
}

function restOf({ parent_id, request_deadline, budget, spent, paused }: SessionRecord) {
  return { parent_id, request_deadline, budget, spent, paused }
}

export function toBudgetState({ budget, paused, spent = noSpending }: SessionRecord): BudgetState {
  return { budget, paused, spent }
}

export function toSettings(record: SessionRecord): SessionSettings {
  const { tools_approved, safety_policy, permissions, starred, agent_model_overrides } = record
  const { input_tokens, output_tokens, cost, request_deadline, budget, paused } = record
  return {
    tools_approved,
    safety_policy,
    permissions,
    starred,
    agent_model_overrides,
    input_tokens,
    output_tokens,
    cost,
    request_deadline,
    budget,
    paused,
  }
}

export function toStatus(record: SessionRecord, agent: string | undefined, runId: string | undefined): SessionStatus {
  return {
    id: record.id,
    title: record.title,
    streaming: runId !== undefined,
    agent,
    run_id: runId,
    input_tokens: record.input_tokens,
    output_tokens: record.output_tokens,
    num_messages: record.num_messages,
  }
}

export function toSnapshot(
  record: SessionRecord,
  messages: readonly Message[],
  now: Pick<Snapshot, 'agent' | 'run_id' | 'last_event_seq' | 'inputs'>,
): Snapshot {
  return {
    id: record.id,
    title: record.title,
    created_at: record.created_at,
    working_dir: record.working_dir,
    messages: messages.length === 0 ? null : [...messages],
    tools_approved: record.tools_approved,
    safety_policy: record.safety_policy,
    permissions: record.permissions,
    input_tokens: record.input_tokens,
    output_tokens: record.output_tokens,
    streaming: now.run_id !== undefined,
    ...now,
    cost: record.cost,
    ...restOf(record),
  }
}

export function toExport(record: SessionRecord, items: readonly TreeItem[]): SessionExport {
  const messages = toAllMessages(items)
  return {
    id: record.id,
    title: record.title,
    created_at: record.created_at,
    messages: messages.length === 0 ? null : [...messages],
    input_tokens: record.input_tokens,
    output_tokens: record.output_tokens,
    working_dir: record.working_dir ?? '',
    tools_approved: record.tools_approved,
  }
}

export function toRecovery(record: SessionRecord, items: readonly TreeItem[]): SessionRecovery {
  const errors = items.flatMap(({ body }) => (body.kind === 'error' ? [body.error] : []))
  return {
    ...toExport(record, items),
    permissions: record.permissions ?? null,
    ...(errors.length === 0 ? {} : { errors }),
  }
}
