/** An agent file for benches that run no agent. */
export const silent = {
  models: { silent: { provider: 'scripted', model: 'silent' } },
  agents: { root: { model: 'silent', description: 'Says nothing', instruction: 'Be silent.' } },
} as const
