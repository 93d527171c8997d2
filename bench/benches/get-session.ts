import { z } from 'zod'
import { type Bench, inPairs } from '../bench.ts'
import { House } from '../house.ts'
import { getRequest, requestMany } from '../requester.ts'
import { Role } from '../role.ts'
import { silent } from '../silent-agent.ts'

const count = 8000
const connections = 16

/** Processor time to answer `GET /api/sessions/:id` with a token, beside a server that knows the answer by heart. */
export const getSession: Bench = {
  name: 'get-session',
  run: async (workbench) => {
    const { stage } = workbench
    const token = 'bench'
    const house = await House.open(workbench, { agent: silent, token })
    const plain = stage.use(new Role('bench/roles/plain-server.ts'))
    const path = `/api/sessions/${await house.createSession()}`
    await plain.ask('serve', z.unknown(), await (await house.get(path)).text())
    const request = getRequest(path, token)
    const perRequest = async (role: Role): Promise<number> => {
      const url = await role.url
      const before = await role.cpu()
      await requestMany({ url, request, connections, count })
      return ((await role.cpu()) - before) / count
    }
    const unit = 'µs'
    const pairs = await inPairs(workbench, {
      count: 5,
      unit,
      ours: () => perRequest(house.role),
      reference: () => perRequest(plain),
    })
    return [
      {
        subject: 'CPU to GET one session, with a token',
        reference: 'node:http with the same text',
        unit,
        pairs,
        goal: { bound: 'at most', goal: 2, stretch: 1.5 },
      },
    ]
  },
}
