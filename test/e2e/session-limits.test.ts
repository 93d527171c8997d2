import { describe, expect, test } from 'vitest'
import { type Answer, says, startUpstream, type Upstream, wants } from '../runtime/upstream.ts'
import type { Client } from '../server/client.ts'
import { tempDir } from '../store/temp-dir.ts'
import { createSession, House, startRun } from './house.ts'
import { watchLog } from './log-watch.ts'
import { priced, sentTo, variables } from './long-session.ts'

const prints = (text: string) => wants(['shell', { cmd: `printf '${text}'` }])

/** Runs an agent with these keys in a session with those limits, and tells why it ended. */
async function ended(
  answers: readonly Answer[],
  { agent = {}, session = {} }: { readonly agent?: object; readonly session?: object },
  look: (upstream: Upstream, reason: unknown, client: Client) => void,
): Promise<void> {
  await using upstream = await startUpstream(...answers)
  const it = priced(upstream.url, { agent: { toolsets: [{ type: 'shell' }, { type: 'think' }], ...agent } })
  await using house = await House.open({ files: { it }, variables })
  const { client } = house
  const settings = { title: 'A title', tools_approved: true, working_dir: tempDir(), ...session }
  const id = await createSession(client, settings)
  await using watch = await watchLog(client, id)
  await startRun(client, id, 'it')
  const { reason } = await watch.untilType('stream_stopped')
  look(upstream, reason, client)
}

/** What the model read last of its tools. */
function results(upstream: Upstream): readonly string[] {
  return sentTo(upstream).flatMap((text) => (text.startsWith('tool: ') ? [text.slice(6)] : []))
}

describe('A limit of a session wins over that of its agent', () => {
  const same = wants(['think', { thought: 'hm' }])

  test.each([
    [2, { agent: { max_consecutive_tool_calls: 4 }, session: { max_consecutive_tool_calls: 2 } }],
    [4, { agent: { max_consecutive_tool_calls: 2 }, session: { max_consecutive_tool_calls: 4 } }],
    [2, { agent: { max_consecutive_tool_calls: 2 }, session: { max_consecutive_tool_calls: 0 } }],
    [3, { session: { max_consecutive_tool_calls: 3 } }],
  ])('for identical calls, which end after %i', (calls, keys) =>
    ended([same], keys, (upstream, reason) => {
      expect(reason).toBe('loop_detected')
      expect(upstream.calls).toHaveLength(calls)
    }),
  )

  const text = `${'a'.repeat(50)}${'b'.repeat(50)}`
  const whole = expect.stringMatching(new RegExp(text))
  const cut = (half: number) => `${'a'.repeat(half)}\n[… ${100 - 2 * half} characters left out …]\n${'b'.repeat(half)}`

  test.each([
    ['cut', { agent: { max_tool_result_tokens: 100 }, session: { max_tool_result_tokens: 10 } }, cut(20)],
    ['whole', { agent: { max_tool_result_tokens: 10 }, session: { max_tool_result_tokens: 100 } }, whole],
    [
      'cut as the agent says',
      { agent: { max_tool_result_tokens: 5 }, session: { max_tool_result_tokens: 0 } },
      cut(10),
    ],
  ])('for one result, which is %s', (_, keys, result) =>
    ended([prints(text), says('done')], keys, (upstream, reason) => {
      expect(reason).toBe('normal')
      expect(results(upstream)).toEqual([result])
    }),
  )

  test.each([
    ['forgotten', { agent: { max_old_tool_call_tokens: 1000 }, session: { max_old_tool_call_tokens: 40 } }, true],
    ['sent', { agent: { max_old_tool_call_tokens: 40 }, session: { max_old_tool_call_tokens: 1000 } }, false],
    ['forgotten as the agent says', { agent: { max_old_tool_call_tokens: 40 } }, true],
  ])('for old results, which are %s', (_, keys, isForgotten) =>
    ended([prints('a'.repeat(100)), prints('b'.repeat(100)), says('done')], keys, (upstream) => {
      const [old, latest] = results(upstream)
      expect(old).toMatch(isForgotten ? /left out/ : /^a+/)
      expect(latest).toMatch(/^b+/)
    }),
  )
})
