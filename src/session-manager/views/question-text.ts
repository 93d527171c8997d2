import type { Request } from '../../protocol/protocol.ts'

/** Most that is quoted of a call or of a question. */
const longestQuote = 120
/** Questions that are told one by one. */
const mostTold = 3

/** What people are asked, by whom and with which request: enough to know how urgent it is. */
export function questionsText(requests: readonly Request[]): string {
  const told = requests.slice(0, mostTold).map((request) => {
    return `${request.agent_name || 'it'} ${askedBy(request)} (request ${request.id})`
  })
  const more = requests.length - told.length
  return [...told, ...(more > 0 ? [`and ${more} more`] : [])].join('; ')
}

/** What becomes of a question that nobody answers. */
export function deadlineText({ id, on_deadline, deadline }: Request): string {
  return `nobody has answered request ${id}: it counts as ${on_deadline ?? 'declined'}, at ${deadline}`
}

function askedBy({ content, label }: Request): string {
  switch (content.kind) {
    case 'approval': {
      const { name, arguments: args = '' } = content.tool_call.function
      const known = label === undefined || label === 'unknown' ? '' : `, a ${label} call`
      const again = content.metadata?.interrupted === undefined ? '' : ' once more, after a restart has cut the call'
      return `wants to call ${name ?? 'a tool'}${quoted(args, ' ')}${again}${known}`
    }
    case 'elicitation':
      return `asks${quoted(content.message, ' “')}”`
    case 'continuation':
      return `has made ${content.max_iterations} model calls, its limit, and wants to make more`
    case 'recovery':
      return `was cut off by ${content.cause === 'handover' ? 'a restart' : 'a crash'}, and asks whether it may go on in attempt ${content.attempt}`
  }
}

function quoted(text: string, before: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  const short = line.length > longestQuote ? `${line.slice(0, longestQuote).toWellFormed()}…` : line
  return `${before}${short}`
}
