/** The least that can be done with a model's answer: fetch, eventsource-parser, and the token out of its JSON. */
import { createParser } from 'eventsource-parser'
import { z } from 'zod'
import { answer } from '../meter.ts'

const Order = z.object({ url: z.string(), answers: z.number() })

type Chunk = { readonly choices: readonly { readonly delta: { readonly content?: string } }[] }

answer({
  /** Reads answers until they end; answers with how many tokens they held. */
  read: async (about) => {
    const { url, answers } = Order.parse(about)
    const counts = await Promise.all(Array.from({ length: answers }, () => read(url)))
    return counts.reduce((sum, count) => sum + count, 0)
  },
})

// The channel alone keeps no process alive.
setInterval(() => {}, 60_000)

async function read(url: string): Promise<number> {
  let tokens = 0
  const parser = createParser({
    onEvent: ({ data }) => {
      if (data === '[DONE]') return
      // Not checked: the floor is what a reader costs that trusts what it reads.
      const { choices }: Chunk = JSON.parse(data)
      if (choices[0]?.delta.content) tokens += 1
    },
  })
  const response = await fetch(url, { method: 'POST', body: '{}' })
  const decoder = new TextDecoder()
  for await (const bytes of response.body ?? []) parser.feed(decoder.decode(bytes, { stream: true }))
  return tokens
}
