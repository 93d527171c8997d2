import type { CallToolResult, ContentBlock, EmbeddedResource, ResourceLink } from '@modelcontextprotocol/client'
import type { ToolCallResult } from '../../protocol/protocol.ts'

/** Characters of text in one result, and of its structured content. */
const textLimit = 1024 * 1024
/** Characters of base64 in one result. */
const mediaLimit = 10 * 1024 * 1024
const metaLimit = 64 * 1024

type Media = NonNullable<ToolCallResult['images']>[number]
type Document = NonNullable<ToolCallResult['documents']>[number]

/** What a server answered, within limits; what was cut is marked in the text. */
export function toToolCallResult(result: CallToolResult): ToolCallResult {
  const collected = new Collected()
  for (const block of result.content) collected.add(block)
  const structured = collected.structured(result.structuredContent)
  const { images, audios, documents } = collected
  return {
    output: collected.output,
    ...(result.isError && { isError: true }),
    ...(result._meta && sizeOf(result._meta) <= metaLimit && { meta: result._meta }),
    ...(images.length > 0 && { images }),
    ...(audios.length > 0 && { audios }),
    ...(documents.length > 0 && { documents }),
    ...(structured !== undefined && { structuredContent: structured }),
  }
}

class Collected {
  readonly images: Media[] = []
  readonly audios: Media[] = []
  readonly documents: Document[] = []
  readonly #texts: string[] = []
  #text = 0
  #media = 0

  get output(): string {
    return this.#texts.join('\n')
  }

  add(block: ContentBlock): void {
    if (block.type === 'text') this.#say(block.text)
    else if (block.type === 'image') this.#keep(this.images, block)
    else if (block.type === 'audio') this.#keep(this.audios, block)
    else if (block.type === 'resource') this.#addResource(block.resource)
    else this.#addLink(block)
  }

  /** Structured content that fits; without any text it is told as text, too. */
  structured(content: unknown): unknown {
    if (content === undefined) return undefined
    const text = JSON.stringify(content)
    if (text.length > textLimit) {
      this.#say(`[structured content of ${text.length} characters was left out]`)
      return undefined
    }
    if (this.#texts.length === 0) this.#say(text)
    return content
  }

  #addLink({ name, uri, mimeType = 'application/octet-stream', description }: ResourceLink): void {
    this.documents.push({ name, uri, mimeType })
    this.#say(`[resource ${name}: ${uri}]${description === undefined ? '' : ` ${description}`}`)
  }

  #addResource(resource: EmbeddedResource['resource']): void {
    const { uri, mimeType } = resource
    const name = uri.slice(uri.lastIndexOf('/') + 1)
    if ('text' in resource) {
      const text = this.#fit(resource.text)
      this.documents.push({ name, uri, mimeType: mimeType ?? 'text/plain', text })
    } else {
      const media = { data: resource.blob, mimeType: mimeType ?? 'application/octet-stream' }
      if (media.mimeType.startsWith('image/')) this.#keep(this.images, media)
      else if (this.#fits(media)) this.documents.push({ name, uri, ...media })
    }
  }

  #keep(list: Media[], { data, mimeType }: Media): void {
    if (this.#fits({ data, mimeType })) list.push({ data, mimeType })
  }

  #fits({ data, mimeType }: Media): boolean {
    this.#media += data.length
    if (this.#media <= mediaLimit) return true
    this.#media -= data.length
    this.#texts.push(`[${mimeType} of ${data.length} characters was left out]`)
    return false
  }

  #say(text: string): void {
    const fitting = this.#fit(text)
    if (fitting !== '') this.#texts.push(fitting)
  }

  #fit(text: string): string {
    const rest = textLimit - this.#text
    this.#text += Math.min(text.length, rest)
    return cut(text, rest)
  }
}

function cut(text: string, limit: number): string {
  if (text.length <= limit) return text
  return `${text.slice(0, limit)}\n[${text.length - limit} more characters were cut]`
}

function sizeOf(value: unknown): number {
  return JSON.stringify(value).length
}
