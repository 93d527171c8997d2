/** An agent of a team: its own keys, and the turns that its model plays. */
export interface Member {
  readonly agent?: object
  readonly turns: readonly (readonly object[])[]
}

/** A file of agents, each on a scripted model of its own; the first is the default. */
export function team(members: Readonly<Record<string, Member>>, file: object = {}): string {
  const names = Object.keys(members)
  const models = names.map((name) => {
    const script = members[name]?.turns ?? []
    return [name, { provider: 'scripted', model: name, cost: { input: 1000, output: 1000 }, provider_opts: { script } }]
  })
  const agents = names.map((name) => [name, { model: name, ...members[name]?.agent }])
  return JSON.stringify({ models: Object.fromEntries(models), agents: Object.fromEntries(agents), ...file })
}

/** A step of a script: the model gives a task to another agent. */
export function transfers(agent: string, task: string): object {
  return { tool_call: { name: 'transfer_task', arguments: { agent, task, expected_output: 'a word' } } }
}
