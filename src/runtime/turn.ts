import type { Agent } from '../agent-file/agent-file.ts'
import type { LanguageModel, ModelFinish } from '../models/models.ts'
import type { ChatMessage, Message, Spending, TokenUsage, ToolCall } from '../protocol/protocol.ts'
import type { AgentAtWork } from './agent-at-work.ts'
import { streamWithRetries } from './retry.ts'
import type { RuntimeEvent } from './runtime.ts'

/** Who answers, and what it is asked. */
export interface TurnInput {
  readonly work: AgentAtWork
  readonly messages: readonly ChatMessage[]
  /** What the session has cost before. */
  readonly spent: number
}

/**
 * One answer of the model: its pieces as they come, then the whole message and what it used. Returns the tools that the
 * model wants called.
 */
export async function* turn(input: TurnInput): AsyncGenerator<RuntimeEvent, readonly ToolCall[], void> {
  const { agent, model } = input.work
  yield agentInfo(agent, model)
  const answer = yield* stream(input)
  const { finish, content, reasoning } = answer
  const empty = !content && !reasoning && finish.tool_calls.length === 0
  if (finish.finish_reason === 'refusal') yield warning(agent, 'The model refused to answer.')
  else if (empty) yield warning(agent, 'The model answered nothing.')
  input.work.shared.budgets.spend(agent, spendingOf(finish), model.price === undefined)
  if (empty) return []
  const message: Message = { agent_name: agent.Name, message: stored(answer, model) }
  yield { type: 'message_added', message }
  yield { type: 'token_usage', agent_name: agent.Name, usage: tokenUsage(finish, model, input.spent) }
  return finish.tool_calls
}

function spendingOf({ usage, cost }: ModelFinish): Spending {
  const { input_tokens, output_tokens, cached_input_tokens, cached_write_tokens } = usage
  const tokens = input_tokens + output_tokens + cached_input_tokens + cached_write_tokens
  return { cost, tokens, elapsed_seconds: 0 }
}

interface Answer {
  readonly content: string
  readonly reasoning: string
  readonly finish: ModelFinish
}

async function* stream({ work, messages }: TurnInput): AsyncGenerator<RuntimeEvent, Answer, void> {
  const { agent, model, signal, toolbox } = work
  const agent_name = agent.Name
  const { tools } = toolbox
  let content = ''
  let reasoning = ''
  for await (const part of streamWithRetries(model, { purpose: 'turn', messages, tools }, signal)) {
    switch (part.type) {
      case 'text':
        content += part.text
        yield { type: 'agent_choice', agent_name, content: part.text }
        break
      case 'reasoning':
        reasoning += part.text
        yield { type: 'agent_choice_reasoning', agent_name, content: part.text }
        break
      case 'tool_call': {
        const call = { name: part.name, arguments: part.arguments }
        const tool_definition = tools.find(({ name }) => name === part.name)
        const tool_call = { id: part.id, type: 'function', function: call }
        yield { type: 'partial_tool_call', agent_name, tool_call, ...(tool_definition && { tool_definition }) }
        break
      }
      case 'finish':
        return { content, reasoning, finish: part }
    }
  }
  throw new Error(`${model.ref} ended an answer without its finish`)
}

function stored({ content, reasoning, finish }: Answer, model: LanguageModel): ChatMessage {
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
function tokenUsage(finish: ModelFinish, model: LanguageModel, spent: number): TokenUsage {
  const { usage, cost, finish_reason } = finish
  const input_tokens = usage.input_tokens + usage.cached_input_tokens + usage.cached_write_tokens
  return {
    input_tokens,
    output_tokens: usage.output_tokens,
    context_length: input_tokens + usage.output_tokens,
    context_limit: model.contextLimit ?? 0,
    cost: spent + cost,
    last_message: { ...usage, Cost: cost, Model: model.ref, finish_reason },
  }
}

function agentInfo(agent: Agent, model: LanguageModel): RuntimeEvent {
  return {
    type: 'agent_info',
    agent_name: agent.Name,
    model: model.ref,
    description: agent.description ?? '',
    ...(agent.welcome_message && { welcome_message: agent.welcome_message }),
    ...(model.contextLimit && { context_limit: model.contextLimit }),
  }
}

function warning(agent: Agent, message: string): RuntimeEvent {
  return { type: 'warning', agent_name: agent.Name, message }
}
