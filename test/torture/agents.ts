import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** What a call of a tool may do when the process dies: run again, or not. */
export type Rule = 'never' | 'safe'

interface Kind {
  readonly rule: Rule
  /** A person is asked before each call. */
  readonly asks?: boolean
}

/** The tools whose effect is counted outside, as the model calls them. */
const countedTools = {
  mark: { rule: 'never' },
  linger: { rule: 'never' },
  signed_mark: { rule: 'never', asks: true },
  stamps_stamp: { rule: 'never' },
  stamps_count: { rule: 'safe' },
  fetch: { rule: 'safe' },
} as const satisfies Readonly<Record<string, Kind>>

/** Each place of a script where a counted tool is called. */
const places = {
  a: 'mark',
  b: 'mark',
  c: 'fetch',
  d: 'mark',
  e: 'linger',
  f: 'fetch',
  g: 'signed_mark',
  h: 'signed_mark',
  i: 'mark',
  j: 'signed_mark',
  k: 'mark',
  l: 'stamps_stamp',
  m: 'stamps_count',
  n: 'stamps_count',
  o: 'stamps_count',
  p: 'mark',
  q: 'mark',
  r: 'linger',
  s: 'signed_mark',
} as const satisfies Readonly<Record<string, keyof typeof countedTools>>

/** A token is what the user said and the letter of a place; in a task, {@link taskMark} stands between them. */
const kinds: ReadonlyMap<string, Kind> = new Map(
  Object.entries(places).map(([letter, tool]) => [letter, countedTools[tool]]),
)

/** What a token stands for: the text that the user said, and the kind of tool. */
export function readToken(token: string): { readonly text: string; readonly kind: Kind } | undefined {
  const kind = kinds.get(token.slice(-1))
  return kind === undefined ? undefined : { text: token.slice(0, -1).replace(taskMark, ''), kind }
}

/** Tells what an agent is given as a task from what the user said. */
const taskMark = '+'

/** The variable by which every process that a server starts is known: it names the server's life. Tools see none that begin with QUARTERDECK. */
export const lifeVariable = 'TORTURE_LIFE'

/** Where the outside counts are kept. */
export interface Counters {
  readonly file: string
  readonly url: string
}

/** What the user said is unlike every other text, so every call that a model makes has a token of its own. */
function call(letter: keyof typeof places, { url }: Counters): object {
  const token = `{{last_user_message}}${letter}`
  const name = places[letter]
  const args = name === 'fetch' ? { urls: [`${url}/${token}`], format: 'text' } : { token }
  return { tool_call: { name, arguments: args } }
}

function task(agent: string): object {
  const args = { agent, task: `{{last_user_message}}${taskMark}`, expected_output: '' }
  return { tool_call: { name: 'transfer_task', arguments: args } }
}

/** What an agent plays that others give tasks to. */
function worker(counters: Counters): readonly (readonly object[])[] {
  return [
    [{ text: 'I am at it. ', every: '2ms' }, call('q', counters), call('r', counters)],
    [call('s', counters)],
    [{ text: 'Done as you wish. '.repeat(3), every: '2ms' }],
  ]
}

/** What each agent plays, turn by turn. One user message never leads to the same place of a script twice. */
const scripts = {
  talker: () => [
    [{ text: 'You said "{{last_user_message}}". Ahoy, 船長 ⚓! '.repeat(4), chunk: 9, every: '3ms' }],
    [
      { reasoning: 'Let me think. '.repeat(6), every: '2ms' },
      { text: 'I have thought. '.repeat(6), every: '2ms' },
    ],
  ],
  marker: (counters) => [
    [{ text: 'First a mark. ', every: '2ms' }, call('a', counters)],
    [call('b', counters), call('c', counters), call('d', counters)],
    [{ text: 'All of it is done. '.repeat(4), every: '2ms' }],
  ],
  lingerer: (counters) => [
    [{ text: 'That takes a while. ', every: '2ms' }, call('e', counters), call('f', counters)],
    [{ text: 'Done at last. '.repeat(3), every: '2ms' }],
  ],
  asker: (counters) => [
    [{ text: 'May I? ', every: '2ms' }, call('g', counters), call('h', counters), call('i', counters)],
    [call('j', counters)],
    [{ text: 'Thank you. '.repeat(3), every: '2ms' }],
  ],
  prompter: (counters) => [
    [{ tool_call: { name: 'user_prompt', arguments: { message: 'What now, after {{last_user_message}}?' } } }],
    [call('k', counters)],
    [{ text: 'As you wish. '.repeat(3), every: '2ms' }],
  ],
  stamper: (counters) => [
    [{ text: 'I ask a server. ' }, call('l', counters), call('m', counters), call('n', counters)],
    [call('o', counters)],
    [{ text: 'Stamped. '.repeat(3), every: '2ms' }],
  ],
  leader: (counters) => [
    [{ text: 'Somebody else does it. ', every: '2ms' }, task('worker')],
    [call('p', counters)],
    [{ text: 'They have done it. '.repeat(3), every: '2ms' }],
  ],
  faulty: () => [[{ text: 'It goes well until '.repeat(3), every: '2ms' }, { error: { code: 'model_error' } }]],
  brief: () => [[{ text: 'Aye.' }]],
} satisfies Readonly<Record<string, (counters: Counters) => readonly (readonly object[])[]>>

export type AgentName = keyof typeof scripts

/** How often each agent is run, against the others; `brief` answers at once and is kept for the checks. */
export const agentWeights: Readonly<Record<Exclude<AgentName, 'brief'>, number>> = {
  talker: 3,
  marker: 5,
  lingerer: 4,
  asker: 5,
  prompter: 2,
  stamper: 2,
  leader: 5,
  faulty: 1,
}

const tokenArgs = { args: { token: { type: 'string' } } }

function toolsets({ file }: Counters): readonly object[] {
  const count = `printf '%s\\n' "$token" >> '${file}'`
  const shell = {
    mark: { cmd: `${count}; echo "marked $token"`, ...tokenArgs },
    // It has a child that would live on, and is deaf to a polite end itself: whoever ends it must mean it.
    linger: { cmd: `sleep 300 & trap '' TERM; ${count}; sleep 0.2; echo "lingered $token"`, ...tokenArgs },
    signed_mark: { cmd: `${count}; echo "signed $token"`, ...tokenArgs },
  }
  return [{ type: 'script', shell }, { type: 'fetch', allow_private_ips: true }, { type: 'user_prompt' }]
}

function mcpServer({ file }: Counters): object {
  const env = { [lifeVariable]: `\${${lifeVariable}}` }
  return {
    type: 'mcp',
    name: 'stamps',
    command: process.execPath,
    args: [resolve(import.meta.dirname, 'stamps.ts'), file],
    env,
  }
}

/** Writes the agents into a new directory. JSON is YAML too. */
export function writeAgents(directory: string, counters: Counters): void {
  mkdirSync(directory)
  const counted: readonly (readonly [string, Kind])[] = Object.entries(countedTools)
  const permissions = {
    ask: counted.filter(([, { asks }]) => asks).map(([name]) => name),
    allow: counted.filter(([, { asks }]) => !asks).map(([name]) => name),
  }
  for (const [name, script] of Object.entries(scripts)) {
    const models = { plays: scripted(name, script(counters)), works: scripted('worker', worker(counters)) }
    const tools = name === 'stamper' ? [...toolsets(counters), mcpServer(counters)] : toolsets(counters)
    const common = { instruction: 'Play.', safety: 'balanced', toolsets: tools }
    const root = { ...common, model: 'plays', description: name, ...(name === 'leader' && { sub_agents: ['worker'] }) }
    const agents = { root, worker: { ...common, model: 'works', description: 'worker' } }
    writeFileSync(join(directory, `${name}.yaml`), JSON.stringify({ models, agents, permissions }))
  }
}

function scripted(model: string, script: readonly (readonly object[])[]): object {
  return { provider: 'scripted', model, provider_opts: { script } }
}
