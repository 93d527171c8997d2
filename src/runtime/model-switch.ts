import type { Agent, AgentFile } from '../agent-file/agent-file.ts'
import { type Models, parseModelRef } from '../models/models.ts'
import type { ModelChoice } from '../protocol/protocol.ts'
import { findModel, modelOf, resolveModel } from './model-resolution.ts'
import { openSelector } from './model-selector.ts'
import type { ModelSwitch } from './runtime.ts'

/** The models of the agent's file, those its agents name inline, and those that the session brought itself. */
export function createModelSwitch(file: AgentFile, agent: Agent, models: Models): ModelSwitch {
  const offered = new Set([...Object.keys(file.models ?? {}), ...file.agents.map(modelOf)])
  const usable = [...offered].filter((ref) => findModel(file, ref, models) !== undefined)
  const usual = modelOf(agent)
  return {
    choices(override, custom) {
      const current = override ?? usual
      const brought = [...custom, ...(override === undefined ? [] : [override])]
      const customs = [...new Set(brought)].filter((ref) => !usable.includes(ref))
      return [...usable, ...customs].map((ref) => ({
        ...describe(file, ref, models),
        ...(ref === usual && { is_default: true }),
        ...(ref === current && { is_current: true }),
        ...(customs.includes(ref) && { is_custom: true }),
      }))
    },
    async check(ref) {
      await openSelector(resolveModel(file, ref, models), models)
    },
  }
}

/** A reference that has stopped to mean anything is still shown: the session uses it. */
function describe(file: AgentFile, ref: string, models: Models): ModelChoice {
  const definition = findModel(file, ref, models)?.definition
  if (!definition) return { name: ref, ref, ...parseModelRef(ref) }
  const { contextLimit, outputLimit, price } = models.facts(definition)
  return {
    name: ref,
    ref,
    provider: definition.provider,
    model: definition.model,
    ...(price && { input_cost: price.input, output_cost: price.output }),
    ...(price?.cache_read !== undefined && { cache_read_cost: price.cache_read }),
    ...(price?.cache_write !== undefined && { cache_write_cost: price.cache_write }),
    ...(contextLimit !== undefined && { context_limit: contextLimit }),
    ...(outputLimit !== undefined && { output_limit: outputLimit }),
  }
}
