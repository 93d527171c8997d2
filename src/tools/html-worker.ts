/** The thread that converts one page: pages can be made so that this takes for ever. */
import { parentPort, workerData } from 'node:worker_threads'
import Turndown from 'turndown'
import type { HtmlJob } from './html-text.ts'

const invisible: readonly Turndown.TagName[] = ['script', 'style', 'noscript', 'template', 'iframe', 'head', 'title']

const { html, format } = workerData as HtmlJob
const converter = format === 'markdown' ? markdown() : plainText()
parentPort?.postMessage(converter.remove([...invisible]).turndown(html))

function markdown(): Turndown {
  return new Turndown({ headingStyle: 'atx', codeBlockStyle: 'fenced', bulletListMarker: '-' })
}

function plainText(): Turndown {
  const converter = new Turndown({ bulletListMarker: '-', hr: '', br: '' })
  converter.escape = (text) => text
  converter.addRule('inline', {
    filter: ['a', 'em', 'i', 'strong', 'b', 'code'],
    replacement: (content) => content,
  })
  converter.addRule('image', { filter: 'img', replacement: (_, node) => altOf(node) })
  converter.addRule('block', {
    filter: ['h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'blockquote', 'pre'],
    replacement: (content) => `\n\n${content}\n\n`,
  })
  return converter
}

function altOf(node: Turndown.Node): string {
  return 'getAttribute' in node ? (node.getAttribute('alt') ?? '') : ''
}
