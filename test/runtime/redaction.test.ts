import { describe, expect, it } from 'vitest'
import { oddServer } from '../tools/mcp/harness.ts'
import { carryOut, session, text, types, user } from './run-context.ts'
import { calls, command, person, sh, toolBench, toolMessages } from './tool-bench.ts'

const secret = `ghp_${'a1'.repeat(18)}`
/** Tells the secret without having it in its own text. */
const tells = `printf 'ghp_'; printf 'a1%.0s' $(seq 18); echo`
const agent = { redact_secrets: true, toolsets: [{ type: 'shell' }, { type: 'user_prompt' }] }
const free = { settings: { safety_policy: 'autonomous' as const } }

describe('redact_secrets', () => {
  it('keeps secrets from models, wherever they come from', async () => {
    const turns = [[sh(tells)]]
    const part = (inline_text: string) => ({
      type: 'document' as const,
      document: { name: 'a', source: { inline_text } },
    })
    const said = user(`my key is ${secret}`)
    const message = { ...said.message, multi_content: [{ type: 'text' as const, text: `${secret}.` }, part(secret)] }
    const bench = toolBench(turns, { agent: { ...agent, instruction: `Use ${secret}` } })
    const outcome = await carryOut(bench.runtime, session([{ ...said, message }], { ...free, untitled: true }))
    expect(text(outcome)).toBe('done')
    expect(bench.requests).toHaveLength(2)
    expect(JSON.stringify(bench.requests)).not.toContain(secret)
    expect(JSON.stringify(bench.requests[0]?.messages)).toContain('my key is [REDACTED]')
  })

  it('takes secrets out of results before anybody gets them, and tells nothing until then', async () => {
    const post_tool_use = [{ hooks: [command(`cat > seen; ${tells}`)] }]
    const bench = toolBench([[sh(tells)]], { agent: { ...agent, hooks: { post_tool_use } } })
    const outcome = await carryOut(bench.runtime, session([user('go')], free))
    expect(toolMessages(outcome)[0]?.content).toBe('[REDACTED]\n\n\n[REDACTED]')
    expect(types(outcome)).not.toContain('tool_call_output')
    expect(JSON.stringify(outcome.events)).not.toContain(secret)
    expect(bench.read('seen')).toContain('[REDACTED]')
  })

  it('leaves no half of a secret where a long result is cut', async () => {
    const bench = toolBench([[sh(`printf 'x%.0s' $(seq 9980); printf ' '; ${tells}; seq 1 20000`)]], { agent })
    const outcome = await carryOut(bench.runtime, session([user('go')], free))
    expect(toolMessages(outcome)[0]?.content).toMatch(/x \[REDACTED\]\n/)
  })

  it('takes secrets out of arguments, for the tool and for whoever is asked', async () => {
    const { asked, options } = person({ confirmation: 'approve' })
    const bench = toolBench([[sh(`echo '${secret}' | tee out`), calls('odd_pids')]], {
      agent: { ...agent, toolsets: [...agent.toolsets, { type: 'mcp', ...oddServer() }] },
    })
    const outcome = await carryOut(bench.runtime, session([user('go')], options))
    expect(bench.read('out')).toBe('[REDACTED]\n')
    expect(asked[0]?.tool_call.function.arguments).toBe(`{"cmd":"echo '[REDACTED]' | tee out"}`)
    const told = outcome.events.flatMap((event) => (event.type === 'tool_call' ? [event.tool_call.function] : []))
    expect(JSON.stringify(told)).not.toContain(secret)
    expect(toolMessages(outcome)[1]?.content).toMatch(/^\[\d+,\d+\]$/)
  })

  it('changes nothing where the agent does not want it', async () => {
    const bench = toolBench([[sh(tells)]], { agent: { toolsets: [{ type: 'shell' }] } })
    const outcome = await carryOut(bench.runtime, session([user('go')], free))
    expect(toolMessages(outcome)[0]?.content).toBe(`${secret}\n`)
  })
})
