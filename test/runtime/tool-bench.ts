import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { agentNamed, parseAgentFile } from '../../src/agent-file/agent-file.ts'
import { createModels, type ModelRequest, type Models } from '../../src/models/models.ts'
import type { ApprovalContent, ChatMessage, Verdict } from '../../src/protocol/protocol.ts'
import { createTeam } from '../../src/runtime/agent-runtime.ts'
import type { Patience, Question, RunSettings, Runtime } from '../../src/runtime/runtime.ts'
import { world } from '../tools/world.ts'
import type { Outcome } from './run-context.ts'

type Turn = readonly object[]

export interface ToolBench {
  readonly runtime: Runtime
  /** Where the tools work. */
  readonly root: string
  /** What the model was asked, turn by turn. */
  readonly requests: readonly ModelRequest[]
  /** The results that the model read last, in order. */
  readonly results: readonly string[]
  write(path: string, text: string): void
  read(path: string): string
}

interface BenchOptions {
  readonly agent?: object
  /** Keys of the file besides its agents and models. */
  readonly file?: object
  readonly patience?: Patience
}

/** An agent with toolsets in a directory of its own, on a model that plays the turns and then says `done`. */
export function toolBench(turns: readonly Turn[], { agent = {}, file = {}, patience }: BenchOptions = {}): ToolBench {
  const { root, environment } = world()
  const script = [...turns, [{ text: 'done' }]]
  const models = { played: { provider: 'scripted', model: 'test', provider_opts: { script } } }
  const text = JSON.stringify({ agents: { root: { model: 'played', ...agent } }, models, ...file })
  const parsed = parseAgentFile(text, { origin: 'test.yaml' })
  const found = agentNamed(parsed)
  if (found === undefined) throw new Error('the file has no agent')
  const requests: ModelRequest[] = []
  const runtime = createTeam({ file: parsed, models: recording(requests), environment, patience }).open(found)
  onTestFinished(() => runtime.close())
  return {
    runtime,
    root,
    requests,
    get results() {
      const messages = requests.at(-1)?.messages ?? []
      return messages.filter(({ role }) => role === 'tool').map(({ content }) => content)
    },
    write(path, text) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), text)
    },
    read: (path) => readFileSync(join(root, path), 'utf8'),
  }
}

/** The models of the product, with what the turns of a run ask of them. */
function recording(requests: ModelRequest[]): Models {
  const models = createModels({ env: {} })
  return {
    ...models,
    open: async (definition) => {
      const model = await models.open(definition)
      return {
        ...model,
        stream: (request, signal) => {
          if (request.purpose === 'turn') requests.push(request)
          return model.stream(request, signal)
        },
      }
    },
  }
}

/** A step of a script: the model wants a tool called. */
export function calls(name: string, args: object = {}): object {
  return { tool_call: { name, arguments: args } }
}

export function sh(cmd: string): object {
  return calls('shell', { cmd })
}

/** A hook that is a line of shell. */
export function command(line: string, more: object = {}): object {
  return { type: 'command', command: line, ...more }
}

/** The text that a model reads before the conversation. */
export function systemText({ messages }: ModelRequest): string {
  return messages
    .filter(({ role }) => role === 'system')
    .map(({ content }) => content)
    .join('\n')
}

/** The messages of the tools that a run stored. */
export function toolMessages({ events }: Outcome): readonly ChatMessage[] {
  return events.flatMap((event) => {
    const message = event.type === 'message_added' ? event.message.message : undefined
    return message?.role === 'tool' ? [message] : []
  })
}

/** A person who says the same to every approval, and what they were asked. */
export function person(verdict: Verdict, settings: Partial<RunSettings> = {}) {
  const asked: ApprovalContent[] = []
  const answer = async ({ content }: Question) => {
    if (content.kind === 'approval') asked.push(content)
    return verdict
  }
  return { asked, options: { settings, answer } }
}
