import type { ErrorDetail } from '../../protocol/protocol.ts'
import type { HookConfig, HookEventName, HooksConfig, ToolHookConfig } from './hook.ts'
import { builtins } from './hook-builtins.ts'
import { compileMatcher } from './hook-matcher.ts'

/** Events that are run, and whether their hooks have matchers. */
const supported: Readonly<Record<HookEventName, 'plain' | 'tool'>> = {
  pre_tool_use: 'tool',
  post_tool_use: 'tool',
  permission_request: 'tool',
  session_start: 'plain',
  user_prompt_submit: 'plain',
  stop: 'plain',
}

/**
 * Everything about an agent's hooks that would not be run, with its place below `hooks`. An agent with any must not run:
 * a guard that is skipped in silence is a hole.
 */
export function unsupportedHooks(config: HooksConfig): readonly ErrorDetail[] {
  return Object.entries(config).flatMap(
    ([event, entries]: [string, readonly (HookConfig | ToolHookConfig)[] | undefined]) => {
      if (entries === undefined || entries.length === 0) return []
      if (!isSupported(event)) return [{ path: `hooks.${event}`, message: `Hooks for ${event} are not supported yet.` }]
      return entries.flatMap((entry, at) => {
        const path = `hooks.${event}.${at}`
        return 'hooks' in entry ? unsupportedGroup(event, entry, path) : unsupportedHook(event, entry, path)
      })
    },
  )
}

function isSupported(event: string): event is HookEventName {
  return Object.hasOwn(supported, event)
}

function unsupportedGroup(event: HookEventName, group: ToolHookConfig, path: string): readonly ErrorDetail[] {
  const details: ErrorDetail[] = []
  if (compileMatcher(group.matcher) === undefined) {
    details.push({ path: `${path}.matcher`, message: `The matcher ${group.matcher} is not a regular expression.` })
  }
  if (group.preempt_yolo && event !== 'pre_tool_use') {
    details.push({ path: `${path}.preempt_yolo`, message: `Hooks for ${event} cannot preempt.` })
  }
  const inside = group.hooks.flatMap((hook, at) => unsupportedHook(event, hook, `${path}.hooks.${at}`))
  return [...details, ...inside]
}

function unsupportedHook(event: HookEventName, hook: HookConfig, path: string): readonly ErrorDetail[] {
  if (hook.type === 'command') return []
  if (hook.type === 'model')
    return [{ path: `${path}.type`, message: 'Hooks of the kind model are not supported yet.' }]
  const builtin = builtins.get(hook.command ?? '')
  if (builtin === undefined) {
    return [{ path: `${path}.command`, message: `The built-in hook ${hook.command} is not supported yet.` }]
  }
  if (builtin.events.has(event)) return []
  return [{ path: `${path}.command`, message: `The built-in hook ${hook.command} does nothing for ${event}.` }]
}
