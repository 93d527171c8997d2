import type { SafetyPolicy, Tool } from '../protocol/protocol.ts'
import {
  type BlastRadius,
  type DestructiveWords,
  destructiveTexts,
  destructiveWords,
  type SafeCommand,
  safeCommands,
} from './shell-taxonomy.ts'

/** What a call does, as far as can be told without running it. */
export type SafetyLabel = 'safe' | 'destructive' | 'unknown'

/** A label with what a person needs to judge it. */
export interface Safety {
  readonly label: SafetyLabel
  readonly radius: BlastRadius
  readonly category: string | undefined
  readonly reason: string
}

/** What a policy does with a call that no rule has decided. `ask` goes on to hooks and then to a person. */
export const modeTable: Readonly<Record<SafetyPolicy, Readonly<Record<SafetyLabel, 'allow' | 'ask' | 'deny'>>>> = {
  strict: { safe: 'ask', destructive: 'ask', unknown: 'ask' },
  balanced: { safe: 'allow', destructive: 'ask', unknown: 'ask' },
  restricted: { safe: 'allow', destructive: 'deny', unknown: 'deny' },
  autonomous: { safe: 'allow', destructive: 'allow', unknown: 'allow' },
  '': { safe: 'ask', destructive: 'ask', unknown: 'ask' },
}

/** Categories of the tools whose argument is a shell command. */
const shellCategories: ReadonlySet<string> = new Set(['shell', 'background_jobs'])

/** The command that a call would run in a shell; `undefined` when it runs none. Models also write `command` for `cmd`. */
export function shellCommand(tool: Tool, args: unknown): string | undefined {
  if (!shellCategories.has(tool.category) || typeof args !== 'object' || args === null) return undefined
  return ['cmd', 'command']
    .map((name): unknown => Reflect.get(args, name))
    .find((value): value is string => typeof value === 'string' && value !== '')
}

/** Labels a call: shell commands by the taxonomy, everything else by the annotations of the tool's author. */
export function assess(tool: Tool, args: unknown): Safety {
  const command = shellCommand(tool, args)
  if (command !== undefined) return assessCommand(command)
  const { readOnlyHint, destructiveHint } = tool.annotations
  if (readOnlyHint) return { ...safe, category: 'read-only', reason: 'The tool says that it only reads.' }
  if (destructiveHint) {
    const reason = 'The tool says that it may destroy something.'
    return { label: 'destructive', radius: 'medium', category: 'destructive-tool', reason }
  }
  return { ...unknown, reason: 'The tool does not say what it may do.' }
}

/** Labels a shell command. What destroys wins wherever it stands; safe is only what is known as a whole. */
export function assessCommand(command: string): Safety {
  const harm = findHarm(command)
  if (harm !== undefined) {
    const { category, radius, reason } = harm
    return { label: 'destructive', radius, category, reason }
  }
  const words = simpleWords(command)
  const isSafe = words !== undefined && safeCommands.some((known) => isInstance(known, words))
  if (isSafe) return { ...safe, category: 'shell-read', reason: 'The command only reads.' }
  return { ...unknown, reason: 'The command is not known to be harmless.' }
}

/** The label as clients and hooks see it. */
export function safetyMetadata({ label, radius, category, reason }: Safety): Readonly<Record<string, string>> {
  return { safety_label: label, blast_radius: radius, ...(category === undefined ? {} : { category }), reason }
}

/** Whether a shell would run the text as one program with these words, without expanding or combining anything. */
export function isSimpleCommand(command: string): boolean {
  return simpleWords(command) !== undefined
}

const safe = { label: 'safe', radius: 'safe' } as const
const unknown = { label: 'unknown', radius: 'unknown', category: undefined } as const

function findHarm(command: string) {
  const text = destructiveTexts.find(({ pattern }) => pattern.test(command))
  if (text !== undefined) return text
  const commands = plainWords(command)
  return destructiveWords.find((rule) => commands.some((words) => fits(rule, words)))
}

/**
 * The words of each simple command in a text, with quotes and escapes taken away: `r''m`, `\rm`, `rm$IFS-rf`,
 * `{rm,-rf,x}` and `sh -c "rm -rf x"` are `rm` as well.
 */
function plainWords(command: string): readonly (readonly string[])[] {
  return command
    .replaceAll(/\\\r?\n/g, ' ')
    .replaceAll(/\$\{?IFS\}?/g, ' ')
    .replaceAll(/[{},]/g, ' ')
    .replaceAll(/['"\\]/g, '')
    .split(/[;&|\r\n()`<>]+/)
    .map((part) => part.split(/\s+/).filter((word) => word !== ''))
}

function fits({ words, flags, first }: DestructiveWords, command: readonly string[]): boolean {
  let from = 0
  for (const word of words.split(' ')) {
    const at = command.findIndex((candidate, index) => index >= from && nameOf(candidate, from) === word)
    if (at < 0 || (first && at !== programAt(command))) return false
    from = at + 1
  }
  if (flags === undefined) return from < command.length || words.includes(' ') || first === true
  return command.slice(from).some((word) => flags.some((flag) => isFlag(word, flag)))
}

/** Programs are also called by their path; what follows them is not. */
function nameOf(word: string, from: number): string {
  return from === 0 ? word.slice(word.lastIndexOf('/') + 1) : word
}

const wrappers: ReadonlySet<string> = new Set([
  'env',
  '!',
  'nohup',
  'time',
  'exec',
  'command',
  'builtin',
  'nice',
  'then',
  'do',
  'else',
])

function programAt(command: readonly string[]): number {
  return command.findIndex((word) => !wrappers.has(word) && !/^\w+=/.test(word))
}

/** Short flags come in clusters (`-rf`), long ones with values and cut short (`--outp=x`). */
function isFlag(word: string, flag: string): boolean {
  if (word === flag || word.startsWith(`${flag}=`)) return true
  if (/^-[^-]$/.test(flag)) return /^-[^-]/.test(word) && word.includes(flag.slice(1))
  const [name = ''] = word.split('=')
  return flag.startsWith('--') && name.length > 2 && flag.startsWith(name)
}

function isInstance({ words, flags, only }: SafeCommand, command: readonly Word[]): boolean {
  const known = words.split(' ')
  if (!known.every((word, at) => command[at]?.text === word)) return false
  const rest = command.slice(known.length)
  if (only !== undefined) return rest.every(({ text }) => only.includes(text))
  if (flags === undefined) return true
  // A file could be called like a flag, and a pattern of file names would hand it over as one.
  return !rest.some(({ text, expands }) => expands || flags.some((flag) => isFlag(text, flag)))
}

interface Word {
  readonly text: string
  /** The shell puts names of files in its place. */
  readonly expands: boolean
}

/** The words that a shell would make of a command; `undefined` when it would do anything else than running one program. */
function simpleWords(command: string): readonly Word[] | undefined {
  const token = /'([^'\0]*)'|"([^"$`\\!\0]*)"|([^\s'"$`\\!;&|<>(){}#\0]+)|([ \t]+)|([\s\S])/g
  const words: Word[] = []
  let word: Word | undefined
  for (const [, single, double, bare, blank] of command.replace(/\n$/, '').matchAll(token)) {
    if (blank !== undefined) {
      if (word !== undefined) words.push(word)
      word = undefined
      continue
    }
    const piece = single ?? double ?? bare
    if (piece === undefined) return undefined
    const expands = bare !== undefined && /[*?[~]/.test(bare)
    word = { text: (word?.text ?? '') + piece, expands: expands || (word?.expands ?? false) }
  }
  if (word !== undefined) words.push(word)
  return words.length === 0 ? undefined : words
}
