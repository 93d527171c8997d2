import { z } from 'zod'
import { Count, Flag, optional, Text, Texts } from './fields.ts'

const Fusion = z.strictObject({
  strategy: optional(z.enum(['rrf', 'reciprocal_rank_fusion', 'weighted', 'max'])),
  k: optional(Count),
  weights: optional(z.record(z.string(), z.number())),
})

const Reranking = z.strictObject({
  model: Text,
  top_k: optional(Count),
  threshold: optional(z.number()),
  criteria: optional(Text),
})

export const ragShape = {
  tool: optional(z.strictObject({ name: optional(Text), description: optional(Text), instruction: optional(Text) })),
  docs: optional(Texts),
  respect_vcs: optional(Flag),
  /** Each strategy has parameters of its own besides its type. */
  strategies: z.array(z.looseObject({ type: z.enum(['bm25', 'chunked-embeddings', 'semantic-embeddings']) })).min(1),
  results: optional(
    z.strictObject({
      limit: optional(Count),
      fusion: optional(Fusion),
      reranking: optional(Reranking),
      deduplicate: optional(Flag),
      include_score: optional(Flag),
      return_full_content: optional(Flag),
    }),
  ),
}

/** Documents an agent can search: what to index and how. */
export const RagConfig = z.strictObject(ragShape)
export type RagConfig = z.infer<typeof RagConfig>
