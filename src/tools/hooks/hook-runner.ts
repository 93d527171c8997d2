import type { Tool } from '../../protocol/protocol.ts'
import type { DecisionHooks } from '../decision.ts'
import {
  type HookAnswer,
  type HookConfig,
  type HookContext,
  type HookEvent,
  HookFailure,
  type HooksConfig,
  silence,
} from './hook.ts'
import { readAnswer } from './hook-answer.ts'
import { builtins } from './hook-builtins.ts'
import { hookInput } from './hook-input.ts'
import { compileMatcher } from './hook-matcher.ts'
import { hookPlace } from './hook-place.ts'
import { runProcess } from './hook-process.ts'

/** What all hooks of an event say together. */
export interface HookOutcome {
  /** The strictest of all: deny before ask before allow. */
  readonly decision: 'allow' | 'deny' | 'ask' | undefined
  readonly reason: string | undefined
  /** Arguments as the last hook that changed them left them. */
  readonly updatedInput: Readonly<Record<string, unknown>> | undefined
  readonly metadata: Readonly<Record<string, string>>
  /** For the model, one text a hook. */
  readonly additionalContext: readonly string[]
}

const nothing: HookOutcome = {
  decision: undefined,
  reason: undefined,
  updatedInput: undefined,
  metadata: {},
  additionalContext: [],
}

/**
 * Runs the hooks of an event one after the other, in the order of the file; what one makes of the arguments is what the
 * next one sees; the first that denies is the last that runs. What a hook could not do never throws: it blocks
 * (`pre_tool_use`, and where `on_error` says so) or is a warning. Rejects with the signal's reason after an abort.
 */
export async function runHooks(config: HooksConfig, event: HookEvent, context: HookContext): Promise<HookOutcome> {
  const hooks = hooksFor(config, event)
  if (hooks.length === 0) return nothing
  const started = performance.now()
  context.tell({ kind: 'started', event: event.name })
  const errors: string[] = []
  let outcome = nothing
  for (const hook of hooks) {
    const { answer, error } = await attempt(hook, withArguments(event, outcome.updatedInput), context)
    outcome = add(outcome, answer)
    if (error !== undefined) errors.push(error)
    if (outcome.decision === 'deny') break
  }
  context.tell({
    kind: 'finished',
    event: event.name,
    durationMs: Math.round(performance.now() - started),
    allowed: outcome.decision !== 'deny',
    error: errors.length === 0 ? undefined : errors.join('; '),
    message: outcome.reason,
  })
  return outcome
}

/** The hooks that have a say about one call, as `decide` asks them. */
export function decisionHooks(config: HooksConfig, tool: Tool, callId: string, context: HookContext): DecisionHooks {
  const call = { tool, callId }
  return {
    preempt: (args) => runHooks(config, { name: 'pre_tool_use', preempt: true, ...call, args }, context),
    preToolUse: (args) => runHooks(config, { name: 'pre_tool_use', preempt: false, ...call, args }, context),
    permissionRequest: (args) => runHooks(config, { name: 'permission_request', ...call, args }, context),
  }
}

function hooksFor(config: HooksConfig, event: HookEvent): readonly HookConfig[] {
  if (!('tool' in event)) return config[event.name] ?? []
  const preempt = event.name === 'pre_tool_use' && event.preempt
  return (
    (config[event.name] ?? [])
      .filter((group) => event.name !== 'pre_tool_use' || (group.preempt_yolo ?? false) === preempt)
      // A matcher that makes no sense keeps its guard.
      .filter((group) => compileMatcher(group.matcher)?.(event.tool.name) ?? true)
      .flatMap((group) => group.hooks)
  )
}

function withArguments(event: HookEvent, args: unknown): HookEvent {
  return 'args' in event && args !== undefined ? { ...event, args } : event
}

interface Attempt {
  readonly answer: HookAnswer
  readonly error: string | undefined
}

/** One hook; what went wrong becomes what its settings make of it. */
async function attempt(hook: HookConfig, event: HookEvent, context: HookContext): Promise<Attempt> {
  try {
    const answer = await run(hook, event, context)
    if (answer.systemMessage !== undefined) warn(event, answer.systemMessage, context)
    return { answer, error: undefined }
  } catch (cause) {
    context.signal.throwIfAborted()
    const error = `The ${event.name} hook ${hook.name ?? hook.command ?? hook.type} failed: ${messageOf(cause)}`
    const onError = event.name === 'pre_tool_use' ? 'block' : (hook.on_error ?? 'warn')
    if (onError === 'warn') warn(event, error, context)
    return { answer: onError === 'block' ? { ...silence, decision: 'deny', reason: error } : silence, error }
  }
}

function warn(event: HookEvent, message: string, context: HookContext): void {
  context.tell({ kind: 'warning', event: event.name, message })
}

/** Seconds for a hook that names none. */
const defaultTimeout = 60
/** Milliseconds; timers overflow beyond. */
const longestTimeout = 2 ** 31 - 1

async function run(hook: HookConfig, event: HookEvent, context: HookContext): Promise<HookAnswer> {
  const timeout = new AbortController()
  const seconds = hook.timeout || defaultTimeout
  const timer = setTimeout(
    () => timeout.abort(new HookFailure(`it took longer than ${seconds} s`)),
    Math.min(seconds * 1_000, longestTimeout),
  )
  const signal = AbortSignal.any([context.signal, timeout.signal])
  try {
    return await runKind(hook, event, context, signal)
  } finally {
    clearTimeout(timer)
  }
}

async function runKind(
  hook: HookConfig,
  event: HookEvent,
  context: HookContext,
  signal: AbortSignal,
): Promise<HookAnswer> {
  const place = hookPlace(hook, context.environment)
  if (hook.type === 'builtin') {
    const builtin = builtins.get(hook.command ?? '')
    if (builtin === undefined) throw new HookFailure('there is no such built-in hook')
    return builtin.run(event, hook, place, signal)
  }
  if (hook.type === 'model') throw new HookFailure('hooks of the kind model are not supported')
  const stdin = JSON.stringify(hookInput(event, context))
  const args = ['-c', hook.command ?? '', 'hook', ...(hook.args ?? [])]
  const { code, stdout, stderr } = await runProcess({ file: '/bin/sh', args, ...place, stdin }, signal)
  return readAnswer(event.name, code, stdout, stderr)
}

const strictness = ['deny', 'ask', 'allow'] as const

function add(outcome: HookOutcome, answer: HookAnswer): HookOutcome {
  const decision = strictness.find((one) => one === outcome.decision || one === answer.decision)
  return {
    decision,
    reason: decision === outcome.decision ? (outcome.reason ?? answer.reason) : answer.reason,
    updatedInput: answer.updatedInput ?? outcome.updatedInput,
    metadata: { ...outcome.metadata, ...answer.metadata },
    additionalContext: [
      ...outcome.additionalContext,
      ...(answer.additionalContext === undefined ? [] : [answer.additionalContext]),
    ],
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
