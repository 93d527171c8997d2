import { describe, expect, it } from 'vitest'
import type { IfBusy, InputMessage } from '../../src/protocol/protocol.ts'
import { RunFailure } from '../../src/runtime/runtime.ts'
import { backends, type House, patience, running, texts, useStore } from './house.ts'

const say = (...contents: readonly string[]): InputMessage[] => contents.map((content) => ({ content }))
const answered = (content: string): InputMessage => ({ role: 'assistant', content })

function send({ manager }: House, id: string, messages: readonly InputMessage[], ifBusy: IfBusy = 'reject') {
  return manager.submit(id, { source: 'hand' }, { messages, ifBusy })
}

/** A session whose first run has failed before it said anything. */
async function failed(house: House): Promise<string> {
  const { id, run } = await running(house)
  await run.fail(new RunFailure('model_error', 'down'))
  await house.manager.waitStopped(id, patience)
  return id
}

/** What users and agents have said once the next run has ended. */
async function saidBy(house: House, id: string): Promise<readonly string[]> {
  const run = await house.puppet.next()
  await run.end()
  await house.manager.waitStopped(id, patience)
  return texts((await house.manager.getSession(id)).messages)
}

describe.each(backends)('a history that is sent again over $over', (backend) => {
  const house = useStore(backend)

  it('adds only what is new after a run that has said nothing', async () => {
    const built = await house()
    const id = await failed(built)
    await send(built, id, say('begin', 'again'))
    expect(await saidBy(built, id)).toEqual(['begin', 'again'])
    await send(built, id, say('begin', 'again', 'and', 'again'))
    expect(await saidBy(built, id)).toEqual(['begin', 'again', 'and', 'again'])
  })

  it('adds only what is new after answers and a run that has said nothing', async () => {
    const built = await house()
    const { id, run } = await running(built)
    await run.answer('hello')
    await run.end()
    await built.manager.waitStopped(id, patience)
    const history = [...say('begin'), answered('hello'), ...say('more')]
    await send(built, id, history)
    expect(await saidBy(built, id)).toEqual(['begin', 'hello', 'more'])
    await send(built, id, [...history, ...say('again')])
    expect(await saidBy(built, id)).toEqual(['begin', 'hello', 'more', 'again'])
  })

  it('adds what a person says twice, what is only like it, and what was answered', async () => {
    const built = await house()
    const id = await failed(built)
    await send(built, id, say('begin'))
    expect(await saidBy(built, id)).toEqual(['begin', 'begin'])
    await send(built, id, say('begin', 'other', 'again'))
    expect(await saidBy(built, id)).toEqual(['begin', 'begin', 'begin', 'other', 'again'])
    const { id: second, run } = await running(built)
    await run.answer('hello')
    await run.end()
    await built.manager.waitStopped(second, patience)
    await send(built, second, say('begin', 'more'))
    expect(await saidBy(built, second)).toEqual(['begin', 'hello', 'begin', 'more'])
  })

  it('looks at the other parts of a message too', async () => {
    const built = await house()
    const { id } = await built.manager.createSession()
    const picture = (url: string): InputMessage => ({
      content: 'look',
      multi_content: [{ type: 'image_url', image_url: { url } }],
    })
    await send(built, id, [picture('a')])
    expect(await saidBy(built, id)).toEqual(['look'])
    await send(built, id, [picture('b'), ...say('and')])
    expect(await saidBy(built, id)).toEqual(['look', 'look', 'and'])
    await send(built, id, [picture('a'), picture('b'), ...say('and', 'now')])
    expect(await saidBy(built, id)).toEqual(['look', 'look', 'and', 'now'])
  })

  it('lets nothing wait twice that is sent again while it waits', async () => {
    const built = await house()
    const { id } = await running(built)
    const waiting = async () => (await built.manager.getInputs(id)).map(({ message }) => message.content)
    await send(built, id, say('begin', 'more'), 'enqueue')
    const nothingNew = expect.objectContaining({ code: 'invalid_request' })
    await expect(send(built, id, say('begin', 'more'), 'enqueue')).rejects.toEqual(nothingNew)
    await expect(send(built, id, say('begin', 'more'), 'steer')).rejects.toEqual(nothingNew)
    await send(built, id, say('begin', 'more', 'steer'), 'steer')
    await send(built, id, say('begin', 'more', 'steer', 'third'), 'enqueue')
    await expect(send(built, id, say('begin', 'more'), 'enqueue')).rejects.toEqual(nothingNew)
    expect(await waiting()).toEqual(['steer', 'more', 'third'])
    await send(built, id, say('begin', 'more', 'steer', 'third', 'last'), 'interrupt')
    const next = await built.puppet.next()
    expect([next.steering(), next.followUp(), next.followUp(), next.followUp()]).toEqual([
      ['steer'],
      'more',
      'third',
      undefined,
    ])
    await next.end()
    await built.manager.waitStopped(id, patience)
    const { messages } = await built.manager.getSession(id)
    expect(texts(messages)).toEqual(['begin', 'last', 'steer', 'more', 'third'])
  })

  it('lets wait what is said once more, and what is said while the same is held', async () => {
    const built = await house()
    const { id, run } = await running(built)
    const waiting = async () => (await built.manager.getInputs(id)).map(({ message }) => message.content)
    await run.answer('hello')
    await send(built, id, say('a', 'b'), 'enqueue')
    await send(built, id, say('a', 'b'), 'enqueue')
    expect(await waiting()).toEqual(['a', 'b', 'a', 'b'])
    for (const input of await built.manager.getInputs(id)) await built.manager.updateInput(id, input.id, { held: true })
    await send(built, id, say('a', 'b', 'c'), 'enqueue')
    expect(await waiting()).toEqual(['a', 'b', 'a', 'b', 'a', 'b', 'c'])
  })

  it('lets only what is new wait for a run that goes on, and all of it take the place of one that is rolled back', async () => {
    const built = await house()
    const { id, run } = await running(built)
    await send(built, id, say('begin', 'wait'), 'enqueue')
    await send(built, id, say('begin', 'steer'), 'steer')
    expect([run.steering(), run.followUp(), run.followUp()]).toEqual([['steer'], 'wait', undefined])
    await send(built, id, say('begin', 'anew'), 'rollback')
    expect(await saidBy(built, id)).toEqual(['begin', 'anew'])
  })
})
