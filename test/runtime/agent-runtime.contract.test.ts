import { runtimeContract } from '../contracts/runtime.contract.ts'
import { runtimeOf, scripted } from './test-agent.ts'

runtimeContract('the agent runtime on a scripted model', {
  answering: async (texts) => runtimeOf(scripted(texts.map((text) => [{ text }]))),
  hanging: async () => runtimeOf(scripted([[{ text: 'well ' }, { delay: '1h' }]])),
  failing: async () => runtimeOf(scripted([[{ error: { code: 'model_error', message: 'no' } }]])),
})
