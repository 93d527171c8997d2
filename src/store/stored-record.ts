import { z } from 'zod'
import {
  Cursor,
  FleetEvent,
  FleetSession,
  Message,
  QueuedInput,
  Request,
  Run,
  Session,
  SessionAgent,
  SessionError,
  Spending,
  Summary,
  Termination,
} from '../protocol/protocol.ts'
import type { InputRecord, ItemBody, KeyRecord, SessionRecord } from './store.ts'

const TaskOrigin = z.object({ run_id: z.string(), call_id: z.string(), recall: z.boolean() })

const StoredSession = z.object({
  ...Session.omit({ messages: true }).shape,
  agent: SessionAgent.optional(),
  policy_pending: z.boolean(),
  task_of: TaskOrigin.optional(),
  compaction: z.object({ prompt: z.string().optional() }).optional(),
  num_items: Cursor,
  num_messages: z.number(),
})

const rolledBack = { rolled_back: z.string().optional() }
const StoredItem = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('message'), message: Message, ...rolledBack }),
  z.object({ kind: z.literal('error'), error: SessionError, ...rolledBack }),
  z.object({ kind: z.literal('summary'), summary: Summary, ...rolledBack }),
  z.object({ kind: z.literal('termination'), termination: Termination, ...rolledBack }),
  z.object({
    kind: z.literal('sub_session'),
    session_id: z.string(),
    counted: z.object({ cost: z.number(), spent: Spending }).optional(),
    ...rolledBack,
  }),
])

const StoredKey = z.object({
  scope: z.string(),
  key: z.string(),
  fingerprint: z.string(),
  outcome: z.string().refine((text) => parsed(text) !== undefined),
  created_at: z.string(),
})

/** What each record that is stored as JSON must look like. */
const shapes = {
  session: StoredSession,
  item: StoredItem,
  run: Run,
  input: QueuedInput,
  request: Request,
  key: StoredKey,
  fleet_session: FleetSession,
  fleet_event: FleetEvent,
} as const

export interface Stored {
  readonly session: SessionRecord
  readonly item: ItemBody
  readonly run: Run
  readonly input: InputRecord
  readonly request: Request
  readonly key: KeyRecord
  readonly fleet_session: FleetSession
  readonly fleet_event: FleetEvent
}

export type StoredKind = keyof Stored

/** A record, or why it cannot be read: a sentence without what is stored. */
export type Reading<T> = { readonly record: T } | { readonly reason: string }

/**
 * Reads a record that was stored as JSON: the one place where that gets a type. What the shapes do not know is kept, and
 * what this program itself may have written never counts as damage, such as the `null` that JSON makes of no number.
 */
export function readRecord<K extends StoredKind>(
  kind: K,
  json: string,
  own: Readonly<Record<string, string | undefined>>,
): Reading<Stored[K]> {
  const record = parsed<Stored[K]>(json)
  if (record === undefined) return { reason: 'is not JSON' }
  const found = shapes[kind].safeParse(record)
  const objection = found.error?.issues.find((issue) => !isBearable(issue, record))
  if (objection !== undefined) return { reason: `${objection.path.join('.') || 'it'} is not as it must be` }
  const other = Object.entries(own).find(([name, value]) => at(record, [name]) !== value)
  return other === undefined ? { record } : { reason: `${other[0]} is that of another` }
}

const limits = new Set(['too_small', 'too_big', 'invalid_format', 'custom'])

function isBearable(issue: z.core.$ZodIssue, record: unknown): boolean {
  if (limits.has(issue.code)) return true
  if (issue.code !== 'invalid_type' || (issue.expected !== 'number' && issue.expected !== 'int')) return false
  const value = at(record, issue.path)
  return value === null || typeof value === 'number'
}

function at(record: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => {
    return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
      ? Reflect.get(value, key)
      : undefined
  }, record)
}

function parsed<T>(json: string): T | undefined {
  try {
    const value: T = JSON.parse(json)
    return value
  } catch {
    return undefined
  }
}
