import { randomUUID } from 'node:crypto'
import type { Agent } from '../agent-file/agent-file.ts'
import type { LanguageModel, ModelFinish, ModelPart, ModelRequest } from '../models/models.ts'
import type { ChatMessage, Message, TokenUsage, Tool, ToolCall } from '../protocol/protocol.ts'
import { accountTurn, spend } from './accounting.ts'
import type { AgentAtWork, Compaction } from './agent-at-work.ts'
import type { Answering, ModelChain } from './model-chain.ts'
import type { RuntimeEvent } from './runtime.ts'
import { textToolCalls } from './text-tool-calls.ts'
import { toolName } from './tool-name.ts'

/** Who answers, and what it is asked. */
export interface TurnInput {
  readonly work: AgentAtWork
  readonly prompt: Pick<ModelRequest, 'messages' | 'steady'>
  /** Who answers this turn, if not the agent's own models. */
  readonly chain?: ModelChain | undefined
}

/**
 * One answer of the model: its pieces as they come, then the whole message and what it used, before anything comes of it: a
 * restart must know. Returns the tools that the model wants called.
 */
export async function* turn(input: TurnInput): AsyncGenerator<RuntimeEvent, readonly ToolCall[], void> {
  const { agent, context } = input.work
  const answer = yield* stream(input)
  const { model, finish, content, reasoning } = answer
  const empty = !content && !reasoning && finish.tool_calls.length === 0
  if (finish.finish_reason === 'refusal') yield warning(agent, 'The model refused to answer.')
  else if (empty) yield warning(agent, 'The model answered nothing.')
  spend(input.work, model, finish)
  const message: Message = { agent_name: agent.Name, message: stored(answer) }
  if (empty) yield { type: 'usage_spent', usage: finish.usage, cost: finish.cost }
  else yield { type: 'message_added', message }
  const { share } = input.work.compaction
  const usage = tokenUsage(finish, model, context.cost)
  const told = share === undefined ? usage : { ...usage, compaction_threshold: share }
  yield { type: 'token_usage', agent_name: agent.Name, usage: told }
  yield* accountTurn(input.work)
  return finish.tool_calls
}

interface Answer {
  readonly model: LanguageModel
  readonly content: string
  readonly reasoning: string
  readonly finish: ModelFinish
}

async function* stream({ work, prompt, chain = work.chain }: TurnInput): AsyncGenerator<RuntimeEvent, Answer, void> {
  const { agent, signal, toolbox } = work
  const agent_name = agent.Name
  const { tools } = toolbox
  let model = chain.current
  let content = ''
  let reasoning = ''
  const nameOf = (written: string) => toolName(written, (name) => tools.some((tool) => tool.name === name))
  const parts = chain.stream({ purpose: 'turn', ...prompt, tools, format: agent.structured_output }, signal)
  for await (const part of tools.length > 0 ? textToolCalls(parts, newId) : parts) {
    switch (part.type) {
      case 'answering':
        model = part.model
        if (part.again) yield { type: 'asked_again' }
        else yield* answering(work, part)
        break
      case 'text':
        content += part.text
        yield { type: 'agent_choice', agent_name, content: part.text }
        break
      case 'reasoning':
        reasoning += part.text
        yield { type: 'agent_choice_reasoning', agent_name, content: part.text }
        break
      case 'tool_call':
        yield partialCall(agent, part, tools, nameOf)
        break
      case 'finish':
        return { model, content, reasoning, finish: renamed(part, nameOf) }
    }
  }
  throw new Error(`${model.ref} ended an answer without its finish`)
}

function partialCall(
  agent: Agent,
  part: Extract<ModelPart, { type: 'tool_call' }>,
  tools: readonly Tool[],
  nameOf: (written: string) => string,
): RuntimeEvent {
  const name = part.name === undefined ? undefined : nameOf(part.name)
  const tool_call = { id: part.id, type: 'function', function: { name, arguments: part.arguments } }
  const tool_definition = tools.find((tool) => tool.name === name)
  return {
    type: 'partial_tool_call',
    agent_name: agent.Name,
    tool_call,
    ...(tool_definition && { tool_definition }),
  }
}

function newId(): string {
  return `call_${randomUUID().replaceAll('-', '')}`
}

function renamed(finish: ModelFinish, nameOf: (written: string) => string): ModelFinish {
  const tool_calls = finish.tool_calls.map((call) => {
    return { ...call, function: { ...call.function, name: nameOf(call.function.name ?? '') } }
  })
  return { ...finish, tool_calls }
}

/** Who answers now, and in whose place. */
function* answering(
  { agent, compaction }: AgentAtWork,
  { model, instead }: Answering,
): Generator<RuntimeEvent, void, void> {
  if (instead) {
    yield {
      type: 'model_fallback',
      agent_name: agent.Name,
      failed_model: instead.model.ref,
      fallback_model: model.ref,
      reason: instead.reason,
      attempt: instead.attempt,
      max_attempts: instead.maxAttempts,
    }
  }
  yield agentInfo(agent, model, compaction)
}

function stored({ model, content, reasoning, finish }: Answer): ChatMessage {
  const { tool_calls: calls } = finish
  return {
    role: 'assistant',
    content,
    ...(reasoning && { reasoning_content: reasoning }),
    ...(finish.thinking_signature && { thinking_signature: finish.thinking_signature }),
    ...(finish.thought_signature && { thought_signature: finish.thought_signature }),
    ...(finish.provider_metadata && { provider_metadata: finish.provider_metadata }),
    ...(calls.length > 0 && { tool_calls: [...calls] }),
    created_at: new Date().toISOString(),
    usage: finish.usage,
    model: model.ref,
    cost: finish.cost,
    finish_reason: finish.finish_reason,
  }
}

/** The prompt and the answer of the last call together are what the context holds now. */
function tokenUsage(finish: ModelFinish, model: LanguageModel, cost: number): TokenUsage {
  const { usage, finish_reason } = finish
  const input_tokens = usage.input_tokens + usage.cached_input_tokens + usage.cached_write_tokens
  return {
    input_tokens,
    output_tokens: usage.output_tokens,
    context_length: input_tokens + usage.output_tokens,
    context_limit: model.contextLimit ?? 0,
    cost,
    last_message: { ...usage, Cost: finish.cost, Model: model.ref, finish_reason },
  }
}

function agentInfo(agent: Agent, model: LanguageModel, { model: compacting, window }: Compaction): RuntimeEvent {
  const limit = Math.min(model.contextLimit ?? Infinity, window ?? Infinity)
  return {
    type: 'agent_info',
    agent_name: agent.Name,
    model: model.ref,
    description: agent.description ?? '',
    ...(agent.welcome_message && { welcome_message: agent.welcome_message }),
    ...(limit !== Infinity && { context_limit: limit }),
    ...(compacting.ref !== model.ref && { compaction_model: compacting.ref }),
    ...(model.contextLimit !== undefined &&
      model.contextLimit > limit && { primary_context_limit: model.contextLimit }),
  }
}

function warning(agent: Agent, message: string): RuntimeEvent {
  return { type: 'warning', agent_name: agent.Name, message }
}
