import type { Item } from '../protocol/protocol.ts'
import { runHooks } from '../tools/tools.ts'
import { type AgentAtWork, hookContext } from './agent-at-work.ts'
import { RunFailure } from './run-failure.ts'
import type { RuntimeEvent } from './runtime.ts'
import { told } from './told.ts'

/** What hooks do at the beginning of a run. Returns what they have to say to the model; one that denies ends the run. */
export async function* beginningHooks(work: AgentAtWork): AsyncGenerator<RuntimeEvent, readonly string[], void> {
  const { hooks } = work.agent
  if (hooks === undefined) return []
  const prompt = lastUserText(work.context.history)
  return yield* told<RuntimeEvent, readonly string[]>(async ({ tell }, signal) => {
    const context = hookContext({ ...work, signal }, tell)
    const outcomes = [
      await runHooks(hooks, { name: 'session_start', source: 'startup' }, context),
      ...(prompt === '' ? [] : [await runHooks(hooks, { name: 'user_prompt_submit', prompt }, context)]),
    ]
    const blocked = outcomes.find(({ decision }) => decision === 'deny')
    if (blocked !== undefined) {
      throw new RunFailure('hook_blocked', blocked.reason ?? 'a hook denied the run', { reason: 'hook_blocked' })
    }
    return outcomes.flatMap(({ additionalContext }) => additionalContext)
  }, work.signal)
}

/** Tells hooks that the model has stopped; they have no say in it. */
export async function* stopHooks(work: AgentAtWork): AsyncGenerator<RuntimeEvent, void, void> {
  const { hooks } = work.agent
  const items = work.context.history
  if (hooks?.stop === undefined) return
  const response =
    items.findLast(({ message }) => message?.message.role === 'assistant')?.message?.message.content ?? ''
  const event = { name: 'stop', response, lastUserMessage: lastUserText(items) } as const
  yield* told<RuntimeEvent, unknown>(
    ({ tell }, signal) => runHooks(hooks, event, hookContext({ ...work, signal }, tell)),
    work.signal,
  )
}

function lastUserText(items: readonly Item[]): string {
  return items.findLast(({ message }) => message?.message.role === 'user')?.message?.message.content ?? ''
}
