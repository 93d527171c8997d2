import type { LanguageModelV4FilePart, LanguageModelV4TextPart } from '@ai-sdk/provider'
import type { MessagePart } from '../protocol/protocol.ts'

type Part = LanguageModelV4TextPart | LanguageModelV4FilePart

export type AttachmentRules = {
  /** Whether the provider fetches an image by its address. We never do: the address may lead into our own network. */
  readonly imageUrls: boolean
  /** Whether the model can be shown images and PDFs at all. */
  readonly images: boolean
  readonly pdfs: boolean
}

/** A message's parts as the provider can take them; what it cannot take becomes a line that says what it was. */
export function attachments(parts: readonly MessagePart[], rules: AttachmentRules): Part[] {
  return parts.flatMap((part) => attachment(part, rules))
}

function attachment(part: MessagePart, rules: AttachmentRules): Part[] {
  switch (part.type) {
    case 'text':
      return part.text ? [text(part.text)] : []
    case 'image_url':
      return [image(part.image_url?.url ?? '', rules)]
    // A path names a file of whoever wrote the message; reading it here would hand out the server's own files.
    case 'file':
      return [note(part.file?.path ?? part.file?.file_id ?? 'a file', 'only a reference to it is here')]
    case 'document':
      return [document(part.document ?? {}, rules)]
  }
}

function image(url: string, rules: AttachmentRules): Part {
  if (!rules.images) return note(url.startsWith('data:') ? 'an image' : url, 'this model takes no images')
  const [, mediaType, data] = /^data:(image\/[\w.+-]+);base64,(.*)$/s.exec(url) ?? []
  if (mediaType !== undefined && data !== undefined) return file(mediaType, data)
  if (!rules.imageUrls || !/^https?:/.test(url) || !URL.canParse(url)) {
    return note(url.startsWith('data:') ? 'an image' : url, 'it is not an image that can be shown')
  }
  return { type: 'file', mediaType: 'image/*', data: { type: 'url', url: new URL(url) } }
}

function document(
  { name = 'document', mime_type: mime = '', source }: NonNullable<MessagePart['document']>,
  rules: AttachmentRules,
): Part {
  if (source?.inline_text !== undefined) return quoted(name, source.inline_text)
  const data = source?.inline_data
  if (data === undefined) return note(name, 'only a reference to it is here')
  const isImage = /^image\/[\w.+-]+$/.test(mime)
  const isPdf = mime === 'application/pdf'
  if (isImage && !rules.images) return note(name, 'this model takes no images')
  if (isPdf && !rules.pdfs) return note(name, 'this model takes no PDFs')
  if (isImage || isPdf) return file(mime, data, name)
  if (mime.startsWith('text/') || mime === 'application/json') return quoted(name, decoded(data))
  return note(name, `${mime || 'its type'} cannot be shown`)
}

function file(mediaType: string, data: string, filename?: string): Part {
  return { type: 'file', mediaType, data: { type: 'data', data }, ...(filename !== undefined && { filename }) }
}

function quoted(name: string, content: string): Part {
  return text(`<document name=${JSON.stringify(name)}>\n${content}\n</document>`)
}

function note(name: string, why: string): Part {
  return text(`[attachment ${name}: ${why}]`)
}

function text(content: string): Part {
  return { type: 'text', text: content }
}

function decoded(base64: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)))
}
