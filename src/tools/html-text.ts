import { CallFailure } from './result.ts'
import { runWorker } from './worker.ts'

const convertMs = 15_000

export type HtmlFormat = 'text' | 'markdown'

export interface HtmlJob {
  readonly html: string
  readonly format: HtmlFormat
}

/** What a page says, without its marks or with those of Markdown. Throws a `CallFailure` for a page that takes too long. */
export async function htmlText(html: string, format: HtmlFormat, signal: AbortSignal): Promise<string> {
  const input: HtmlJob = { html, format }
  let text = ''
  const hear = (message: unknown) => {
    text = String(message)
  }
  const end = await runWorker({ name: 'html-worker', input, timeoutMs: convertMs, signal, hear })
  if (end === 'late') throw new CallFailure('The page takes too long to convert; fetch it as html.')
  return text
}
