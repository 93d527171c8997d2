import { type Budget, type SafetyPolicy, type SessionModels, usedUp } from '../protocol/protocol.ts'
import type { SessionRecord } from '../store/store.ts'
import type { BudgetState, TokenCounters } from './answers.ts'
import { type Gate, switchOf } from './inputs/gate.ts'
import type { SessionRuns } from './runs/session-runs.ts'
import { chosenPolicy, toggledPolicy } from './state/session-record.ts'
import type { SessionState } from './state/session-state.ts'
import { toBudgetState } from './views/session-view.ts'

/** What holds for whoever works for the session too. */
const shared = ['safety_policy', 'permissions', 'recovery'] as const

/** Changes what is chosen for a session. Open approvals are decided again after every change. */
export class SessionSettings {
  readonly #state: SessionState
  readonly #gate: Gate

  constructor(state: SessionState, gate: Gate) {
    this.#state = state
    this.#gate = gate
  }

  async configure(changes: Partial<SessionRecord>): Promise<void> {
    this.#change(changes)
    const { tree } = this.#state.family
    await Promise.all([this.#state.recorder.decided(), ...tree.map(({ recorder }) => recorder.settled())])
  }

  async setTokens({ input_tokens, output_tokens, cost }: TokenCounters): Promise<void> {
    await this.configure({ input_tokens, output_tokens, ...(cost === undefined ? {} : { cost }) })
  }

  async setPolicy(policy: SafetyPolicy): Promise<void> {
    await this.configure({ ...chosenPolicy(policy), policy_pending: false })
  }

  async toggleApproval(): Promise<void> {
    await this.configure({ ...toggledPolicy(this.#state.record), policy_pending: false })
  }

  #change(changes: Partial<SessionRecord>): void {
    this.#gate.decide('configure')
    this.#state.update(changes)
    if (changes.title !== undefined) this.#state.recorder.event({ type: 'session_title', title: changes.title })
    else this.#state.tellSettings()
    if (shared.some((key) => key in changes)) this.#state.family.shareSettings()
    for (const { requests } of this.#state.family.tree) requests.redecide()
  }

  /**
   * Changes limits of the session's budget; what is not named stays. A session that a budget has paused goes on, unless it
   * would stop again: then the change and the run are two commits, and the second decides, since the first can be repeated.
   */
  async setBudget(limits: Budget, runs: SessionRuns): Promise<BudgetState> {
    this.#change({ budget: { ...this.#state.record.budget, ...limits } })
    const { budget = {} } = this.#state.record
    const mayGoOn = runs.isPaused && usedUp(budget, this.#state.tally.spent) === undefined
    const goneOn = mayGoOn ? await runs.goOn() : undefined
    return goneOn ?? this.#state.recorder.decided(toBudgetState(this.#state.record))
  }

  /** The models of the session's agent; exactly one is current. */
  async models(): Promise<SessionModels> {
    this.#gate.needAgent()
    const { runtime, release } = await this.#gate.leaseCurrent()
    try {
      const { agent_model_overrides, custom_models_used = [] } = this.#state.record
      const models = switchOf(runtime).choices(agent_model_overrides?.[runtime.agent], custom_models_used)
      const current = models.find((choice) => choice.is_current === true)
      return { agent: runtime.agent, current_model_ref: current?.ref, models: [...models] }
    } finally {
      await release()
    }
  }

  /** Chooses a model for the session's agent; `''` goes back to the default. */
  async setModel(ref: string): Promise<void> {
    this.#gate.needAgent()
    const { runtime, release } = await this.#gate.leaseCurrent()
    try {
      const models = switchOf(runtime)
      if (ref !== '') await models.check(ref)
      await this.configure(this.#state.modelChoice(runtime.agent, ref))
    } finally {
      await release()
    }
  }
}
