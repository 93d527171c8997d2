import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { arch, hostname, platform, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { type HookAnswer, type HookConfig, type HookEvent, type HookEventName, silence } from './hook.ts'
import type { HookPlace } from './hook-place.ts'
import { runProcess } from './hook-process.ts'
import { redact } from './secrets.ts'

/** A hook that runs in this process. Rejects with the signal's reason after an abort. */
export interface Builtin {
  readonly events: ReadonlySet<HookEventName>
  run(event: HookEvent, hook: HookConfig, place: HookPlace, signal: AbortSignal): Promise<HookAnswer>
}

const context: ReadonlySet<HookEventName> = new Set(['session_start', 'user_prompt_submit', 'post_tool_use', 'stop'])

/** All built-ins that can be named in an agent file, by name. */
export const builtins: ReadonlyMap<string, Builtin> = new Map(
  Object.entries({
    add_date: tells(async () => `Today's date: ${localDate(new Date())}`),
    add_environment_info: tells(async ({ cwd }) => environmentInfo(cwd)),
    add_directory_listing: tells(async ({ cwd }) => directoryListing(cwd)),
    add_user_info: tells(async () => currentUser()),
    add_git_status: tells((place, _, signal) => git(place, ['status', '--short', '--branch'], 'Git status', signal)),
    add_git_diff: tells((place, args, signal) => gitDiff(place, args.includes('full'), signal)),
    add_recent_commits: tells((place, [count], signal) => recentCommits(place, count, signal)),
    redact_secrets: { events: new Set<HookEventName>(['pre_tool_use']), run: redactArguments },
    // The label of every call says what this one used to find out.
    safer_shell: { events: new Set<HookEventName>(['pre_tool_use']), run: async () => silence },
  }),
)

type Tell = (place: HookPlace, args: readonly string[], signal: AbortSignal) => Promise<string>

function tells(tell: Tell): Builtin {
  return {
    events: context,
    async run(_, { args = [] }, place, signal) {
      const text = await tell(place, args, signal)
      return text === '' ? silence : { ...silence, additionalContext: text }
    },
  }
}

async function redactArguments(event: HookEvent): Promise<HookAnswer> {
  if (event.name !== 'pre_tool_use') return silence
  const cleaned = redact(event.args)
  const isObject = typeof cleaned === 'object' && cleaned !== null && !Array.isArray(cleaned)
  if (!isObject || cleaned === event.args) return silence
  return { ...silence, updatedInput: { ...cleaned } }
}

function localDate(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0')
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
}

function environmentInfo(cwd: string): string {
  const lines = [
    `Working directory: ${cwd}`,
    `Is a git repository: ${isInRepository(cwd) ? 'yes' : 'no'}`,
    `Operating system: ${platform()}`,
    `CPU architecture: ${arch()}`,
  ]
  return `Environment:\n${lines.join('\n')}`
}

function isInRepository(dir: string): boolean {
  if (existsSync(join(dir, '.git'))) return true
  const parent = dirname(dir)
  return parent !== dir && isInRepository(parent)
}

const listedAtMost = 100

async function directoryListing(cwd: string): Promise<string> {
  const entries = (await readdir(cwd, { withFileTypes: true })).filter(({ name }) => !name.startsWith('.'))
  const names = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort()
  const more = names.length > listedAtMost ? [`... and ${names.length - listedAtMost} more`] : []
  return `Entries of ${cwd}:\n${[...names.slice(0, listedAtMost), ...more].join('\n')}`
}

function currentUser(): string {
  return `User: ${userInfo().username}\nHost: ${hostname()}`
}

const diffAtMost = 4_096

async function gitDiff(place: HookPlace, isFull: boolean, signal: AbortSignal): Promise<string> {
  const text = await git(place, ['diff', ...(isFull ? [] : ['--stat'])], 'Git diff', signal)
  return text.length > diffAtMost ? `${text.slice(0, diffAtMost)}\n... (cut)` : text
}

async function recentCommits(place: HookPlace, count: string | undefined, signal: AbortSignal): Promise<string> {
  const wanted = /^[1-9]\d{0,5}$/.test(count ?? '') ? count : '10'
  return git(place, ['log', '--oneline', '-n', wanted ?? '10'], 'Recent commits', signal)
}

/** Says nothing where there is no repository or no git. */
async function git(place: HookPlace, args: readonly string[], title: string, signal: AbortSignal): Promise<string> {
  if (!isInRepository(place.cwd)) return ''
  const { code, stdout } = await runProcess({ file: 'git', args: ['--no-pager', ...args], ...place }, signal).catch(
    (cause: unknown) => {
      signal.throwIfAborted()
      return { code: 1, stdout: '', cause }
    },
  )
  const text = stdout.trim()
  return code !== 0 || text === '' ? '' : `${title}:\n${text}`
}
