import { z } from 'zod'
import * as protocol from '../../src/protocol/protocol.ts'
import type { Names } from './type-text.ts'

const { endpoints, TokenUsage } = protocol

/** Names that PROTOCOL.md gives to shapes that the code has no name for. */
export const unnamed = {
  CallUsage: TokenUsage.shape.last_message.unwrap(),
  Health: endpoints.health.answers[200],
  Readiness: endpoints.ready.answers[200],
  ForkBody: endpoints.forkSession.body,
  BatchDeleteBody: endpoints.batchDelete.body,
  BatchDeletion: endpoints.batchDelete.answers[200],
  BatchExportBody: endpoints.batchExport.body,
  BatchExport: endpoints.batchExport.answers[200],
  CancelBody: endpoints.cancelRun.body,
  CompactBody: endpoints.compact.body,
  StartedCompaction: endpoints.compact.answers[202],
  BudgetState: endpoints.setBudget.answers[200],
  Stop: endpoints.cancelRun.answers[200],
  SafetyPolicyBody: endpoints.setSafetyPolicy.body,
  PermissionsBody: endpoints.setPermissions.body,
  TitleBody: endpoints.setTitle.body,
  TokensBody: endpoints.setTokens.body,
  StarredBody: endpoints.setStarred.body,
  RequestDeadlineBody: endpoints.setRequestDeadline.body,
  RecoveryPolicyBody: endpoints.setRecovery.body,
  MessageBody: endpoints.addMessage.body,
  SummaryBody: endpoints.addSummary.body,
} as const satisfies Record<string, z.ZodType>

/** Schemas that have no table, and are called by the name of what they mean. */
const same: readonly (readonly [unknown, string])[] = [
  [protocol.ConfirmationInput, 'Confirmation'],
  [protocol.SafetyPolicyInput, 'SafetyPolicy'],
  [protocol.Problem.shape.code, 'ErrorCode'],
  [endpoints.ready.answers[503], 'Readiness'],
  [endpoints.cancelRun.answers[202], 'Stop'],
]

const { type: _, ...envelopeShape } = protocol.events.stream_started.shape

/** The fields that every event carries besides its type. */
export const envelope: Readonly<Record<string, z.ZodType>> = envelopeShape

const exported = Object.entries(protocol).filter(
  ([, schema]) => schema instanceof z.ZodObject || schema instanceof z.ZodEnum || schema === protocol.RunBody,
)

/** Every schema that may have a table, by its name. */
export const tabled: Readonly<Record<string, unknown>> = { ...unnamed, ...Object.fromEntries(exported) }

export const names: Names = new Map([
  ...Object.entries(tabled).map(([name, schema]) => [schema, name] as const),
  ...same,
])
