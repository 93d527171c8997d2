import { createModels, type ModelDefinition, type ModelRequest } from '../../src/models/models.ts'
import { collect, turn, user } from './collect.ts'
import { bodyOf, httpServer } from './http-server.ts'

export const env = { OPENAI_API_KEY: 'k-openai', ANTHROPIC_API_KEY: 'k', GOOGLE_API_KEY: 'k', MISTRAL_API_KEY: 'k' }

export type Sent = { readonly path: string; readonly key: string; readonly body: unknown }

/** The one request that a call makes. The `base_url` of the definition is what comes after the server's address. */
export async function sentBy(definition: ModelDefinition, more: Partial<ModelRequest> = {}): Promise<Sent> {
  const requests: Sent[] = []
  await using server = await httpServer(async (request, response) => {
    const { authorization = '', 'x-api-key': own = '', 'x-goog-api-key': google = '' } = request.headers
    requests.push({ path: request.url ?? '', key: `${authorization}${own}${google}`, body: await bodyOf(request) })
    response.writeHead(418).end()
  })
  const base_url = server.url + (definition.base_url ?? '')
  const model = await createModels({ env }).open({ ...definition, base_url })
  const failure = await collect(model, turn([user('hi')], more)).catch((error: unknown) => error)
  const [request] = requests
  if (!request || requests.length > 1) throw new Error('not exactly one request came', { cause: failure })
  return request
}
