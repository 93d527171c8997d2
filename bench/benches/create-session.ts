import { type Bench, inPairs } from '../bench.ts'
import { House } from '../house.ts'
import { postRequest, requestMany } from '../requester.ts'
import { Role } from '../role.ts'
import { silent } from '../silent-agent.ts'

const count = 4000
const connections = 64

/** Sessions per second, each on disk before it is answered, beside a server that only keeps them in a map. */
export const createSession: Bench = {
  name: 'create-session',
  run: async (workbench) => {
    const house = await House.open(workbench, { agent: silent })
    const plain = workbench.stage.use(new Role('bench/roles/plain-server.ts'))
    const request = postRequest('/api/sessions', JSON.stringify({ title: 'a bench' }))
    const perSecond = async (url: string): Promise<number> => {
      const began = performance.now()
      await requestMany({ url, request, connections, count })
      return (1000 * count) / (performance.now() - began)
    }
    const unit = '/s'
    const url = await plain.url
    const pairs = await inPairs(workbench, {
      count: 5,
      unit,
      ours: () => perSecond(house.url),
      reference: () => perSecond(url),
    })
    return [
      {
        subject: `sessions created, durable, ${connections} at once`,
        reference: 'POST to node:http, kept in a map',
        unit,
        pairs,
        goal: { bound: 'at least', goal: 0.4, stretch: 0.65 },
      },
    ]
  },
}
