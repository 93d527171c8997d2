import { type Agent, type AgentFile, commandsOf } from '../agent-file/agent-file.ts'
import type { CommandSwitch } from './runtime.ts'

/** What `/name args` means when the agent has a command of that name which another agent answers. */
export function commandSwitch(file: AgentFile, agent: Agent, text: string): CommandSwitch | undefined {
  const [, name = '', args = ''] = /^\/(\S+)\s*([\s\S]*)$/.exec(text.trim()) ?? []
  const commands = commandsOf(file, agent)
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command?.agent === undefined) return undefined
  const { instruction = '' } = command
  return { agent: command.agent, text: instruction === '' ? args : filled(instruction, args.trim()) }
}

/**
 * Puts the arguments into an instruction: all of them for `${args}`, `${args.join(" ")}` and `$ARGUMENTS`, one of them for
 * `${args[0]}` or `$1`. An instruction with no place for them gets them at its end.
 */
function filled(instruction: string, args: string): string {
  const words = args === '' ? [] : args.split(/\s+/)
  const place = /\$\{args(?:\.join\((["'`]) \1\))?\}|\$ARGUMENTS\b|\$\{args\[(\d+)\]\}|\$([1-9])\b/g
  if (args !== '' && instruction.search(place) === -1) return `${instruction}\n\n${args}`
  return instruction.replaceAll(place, (_, __, index?: string, number?: string) => {
    if (index !== undefined) return words[Number(index)] ?? ''
    return number === undefined ? args : (words[Number(number) - 1] ?? '')
  })
}
