import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What each agent answers, turn by turn: between them every way in which an answer comes to be, or to fail. */
const scripts: Readonly<Record<string, readonly (readonly object[])[]>> = {
  brisk: [
    [
      {
        text: 'You said "{{last_user_message}}". Ahoy, 船長 ⚓ — all hands on deck! '.repeat(4),
        chunk: 7,
        every: '3ms',
      },
    ],
    [{ text: 'Again: {{last_user_message}}. '.repeat(6), every: '2ms' }],
  ],
  burst: [[{ text: 'Everything at once, as fast as it can be written. '.repeat(60) }]],
  thinker: [
    [
      { reasoning: 'Let me think about that for a while. '.repeat(5), every: '2ms' },
      { delay: '15ms' },
      { text: 'I have thought. '.repeat(8), every: '3ms' },
    ],
  ],
  caller: [
    [
      { text: 'I need a tool for that. ', every: '2ms' },
      { tool_call: { name: 'sextant', arguments: { star: 'Sirius ✨', why: '{{last_user_message}}' } } },
    ],
    [{ text: 'Then without it. '.repeat(10), every: '2ms' }],
  ],
  faulty: [[{ text: 'It goes well until '.repeat(6), every: '2ms' }, { error: { code: 'model_error' } }]],
  brief: [[{ text: 'Aye.' }]],
  patient: [[{ text: 'I wait, ' }, { delay: '1s' }, { text: 'and now I say it.' }]],
}

/** `brief` answers at once, `patient` after something could go wrong. */
const kept: readonly string[] = ['brief', 'patient']

/** The agents that the load runs; the others are kept for the checks. */
export const busyAgents: readonly string[] = Object.keys(scripts).filter((name) => !kept.includes(name))

/** Writes the agents into a new directory. JSON is YAML too. */
export function writeAgents(directory: string): void {
  mkdirSync(directory)
  for (const [name, script] of Object.entries(scripts)) {
    const models = { plays: { provider: 'scripted', model: name, provider_opts: { script } } }
    const agents = { root: { model: 'plays', description: name, instruction: 'Play.' } }
    writeFileSync(join(directory, `${name}.yaml`), JSON.stringify({ models, agents }))
  }
}
