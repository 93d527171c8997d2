import { isMap, isNode, isScalar, isSeq, LineCounter, type ParsedNode, parseDocument, visit } from 'yaml'
import type { ErrorDetail } from '../protocol/protocol.ts'
import { Finding } from './finding.ts'

const deepest = 64

/** YAML that could be read: its value, and where each part of it stands. */
export interface YamlText {
  readonly value: unknown
  /** The line of the key or list entry at `path`, or of the nearest thing around it that was written. */
  lineOf(path: readonly PropertyKey[]): number
  /** The keys of the map at `path` in the order of the text; JavaScript would put number-like ones first. */
  keysOf(path: readonly PropertyKey[]): readonly string[]
}

type Document = ReturnType<typeof parseDocument<ParsedNode, true>>

/** Reads one YAML document, or says what is wrong with it and where. Never throws, whatever the text. */
export function readYaml(text: string): { yaml: YamlText } | { details: readonly ErrorDetail[] } {
  const lines = new LineCounter()
  const at = (offset: number) => Math.max(1, lines.linePos(offset).line)
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true })
    const wrong = [...document.errors, ...document.warnings].map((error) => detail(error.message, at(error.pos[0])))
    const findings = wrong.length > 0 ? wrong : unusable(document, at)
    if (findings.length > 0) return { details: findings }
    keepTextAsWritten(document)
    const value: unknown = document.toJS()
    if (deeperThan(value, deepest)) return { details: [detail(`nested more than ${deepest} levels deep`, 1)] }
    return { yaml: yamlText(document, value, at) }
  } catch (error) {
    // The library throws for what it can only see while it builds the value: aliases without end, bad merges.
    return { details: [detail(error instanceof Error ? error.message : String(error), 1)] }
  }
}

function yamlText(document: Document, value: unknown, at: (offset: number) => number): YamlText {
  return {
    value,
    lineOf: (path) => at(offsetOf(document, path)),
    keysOf: (path) => {
      const node = document.getIn(path, true)
      return isMap(node) ? node.items.map((pair) => (isScalar(pair.key) ? String(pair.key.value) : '')) : []
    },
  }
}

function detail(message: string, line: number): ErrorDetail {
  return Finding.toDetail({ path: [], message }, line)
}

function unusable(document: Document, at: (offset: number) => number): ErrorDetail[] {
  const found: ErrorDetail[] = []
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) === undefined) {
        found.push(detail(`there is no anchor called ${alias.source}`, at(alias.range?.[0] ?? 0)))
      }
    },
    Pair(_, pair) {
      const line = at(startOf(pair.key) ?? 0)
      if (!isScalar(pair.key)) found.push(detail('a key must be plain text', line))
      else if (pair.key.value === '__proto__') found.push(detail('__proto__ cannot be a key', line))
    },
  })
  return found
}

/**
 * Environment values, header values and arguments are text to whoever reads them: `PORT: 0080` means 0080, not the
 * number 80. What is free in form is left alone.
 */
function keepTextAsWritten(document: Document): void {
  visit(document, {
    Pair(_, pair) {
      const key = isScalar(pair.key) ? pair.key.value : undefined
      if (typeof key !== 'string') return undefined
      if (['provider_opts', 'config', 'schema', 'output_schema', 'flavors'].includes(key)) return visit.SKIP
      if (!['env', 'headers', 'args'].includes(key)) return undefined
      if (isMap(pair.value)) for (const entry of pair.value.items) keepSource(entry.value)
      if (isSeq(pair.value)) for (const entry of pair.value.items) keepSource(entry)
      return undefined
    },
  })
}

function keepSource(node: unknown): void {
  if (isScalar(node) && node.source !== undefined && ['number', 'boolean'].includes(typeof node.value)) {
    node.value = node.source
  }
}

function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  let node: unknown = document.contents
  let offset = document.contents?.range?.[0] ?? 0
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step))
      if (pair === undefined) return offset
      offset = startOf(pair.key) ?? offset
      node = pair.value
    } else if (isSeq(node)) {
      node = node.items[Number(step)]
      offset = startOf(node) ?? offset
    }
  }
  return offset
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined
}

/** Also true for a value that contains itself. */
function deeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((inner) => deeperThan(inner, levels - 1))
}
