import { describe, expect, it } from 'vitest'
import { type Action, type Outcome, outcomes, type Status } from '../../src/session-manager/state/session-status.ts'
import { backends, codeOf, type House, patience, rested, running, useStore } from './house.ts'
import { Puppet } from './test-agents.ts'

const statuses: readonly Status[] = ['idle', 'running', 'stopping', 'deleting']
const actions: readonly Action[] = [
  'run',
  'steer',
  'followup',
  'edit',
  'configure',
  'answer',
  'cancel',
  'delete',
  'read',
]
const cells = statuses.flatMap((status) =>
  actions.map((action) => ({
    status,
    action,
    outcome: outcomes[status][action],
    told: told(outcomes[status][action]),
  })),
)

function told(outcome: Outcome): string {
  return typeof outcome === 'object' ? outcome.refuse : outcome
}

/** A session in a state, with a run that takes no notice of being stopped. */
const sessions: Record<Status, (house: House) => Promise<string>> = {
  idle: rested,
  running: async (house) => (await running(house)).id,
  async stopping(house) {
    const { id } = await running(house)
    await house.manager.cancelRun(id, { by: 'test' }, { waitMs: 0 })
    return id
  },
  async deleting(house) {
    const { id } = await running(house)
    await house.manager.deleteSession(id)
    return id
  },
}

const messages = [{ content: 'x' }]

const calls: Record<Action, (house: House, id: string) => Promise<unknown>> = {
  run: ({ manager }, id) => manager.runSession(id, { source: 'hand' }, { messages }),
  steer: ({ manager }, id) => manager.steerSession(id, messages),
  followup: ({ manager }, id) => manager.followUpSession(id, messages),
  edit: ({ manager }, id) => manager.addMessage(id, { agent_name: '', message: { role: 'user', content: 'x' } }),
  configure: ({ manager }, id) => manager.setSessionStarred(id, true),
  answer: ({ manager }, id) => manager.resumeSession(id, { confirmation: 'approve' }),
  cancel: ({ manager }, id) => manager.cancelRun(id, { by: 'another' }, { waitMs: 0 }),
  delete: ({ manager }, id) => manager.deleteSession(id),
  read: ({ manager }, id) => manager.getSession(id),
}

/** What the outcome of an action looks like from outside, besides that it is not refused. */
const effects: Partial<Record<Action, (house: House, id: string, status: Status) => Promise<void>>> = {
  async run({ puppet }) {
    await (await puppet.next()).end()
  },
  async steer({ manager }, id) {
    expect((await manager.getQueue(id)).steer.depth).toBe(1)
  },
  async followup({ manager, puppet }, id, status) {
    if (status === 'idle') await puppet.next()
    expect((await manager.getQueue(id)).followup.depth).toBe(status === 'idle' ? 0 : 1)
  },
  async edit({ manager }, id) {
    expect((await manager.getSession(id)).messages).toHaveLength(2)
  },
  async configure({ manager }, id) {
    expect((await manager.getSession(id)).starred).toBe(true)
  },
  async cancel({ manager }, id, status) {
    const [run] = (await manager.getRuns(id, { limit: 1 })).entries
    expect(run?.canceled?.by).toBe({ idle: undefined, running: 'another', stopping: 'test', deleting: 0 }[status])
  },
  async delete({ manager }, id) {
    expect(await codeOf(manager.getSession(id))).toBe('unknown_session')
  },
}

it('has an outcome for every action in every state, and no other', () => {
  expect(Object.keys(outcomes)).toEqual(statuses)
  for (const row of Object.values(outcomes)) expect(Object.keys(row)).toEqual(actions)
})

describe.each(backends)('the states of a session over $over', (backend) => {
  const house = useStore(backend)

  it.each(cells)('answer $action while $status with $told (M1)', async ({ status, action, outcome }) => {
    const puppet = new Puppet({ stubborn: true })
    const built = await house({ puppet })
    const id = await sessions[status](built)
    const code = await codeOf(calls[action](built, id))
    if (typeof outcome === 'object') expect(code).toBe(outcome.refuse)
    else {
      // A verdict passes the table, and is refused because nothing waits for one.
      expect(code).toBe(action === 'answer' ? 'no_pending_request' : undefined)
      await effects[action]?.(built, id, status)
    }
    expect(puppet.active.size).toBeLessThanOrEqual(1)
    for (let run = [...puppet.active][0]; run !== undefined; run = [...puppet.active][0]) {
      run.steering()
      run.followUp()
      await run.end()
      await built.manager.waitStopped(id, patience)
    }
  })
})
