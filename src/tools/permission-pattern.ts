/**
 * Patterns of tool calls: `TOOLGLOB[:argument=GLOB…]`, for instance `shell:cmd=git status*`. Upper and lower case are the
 * same; `*` and `?` also match `/` and line ends. A condition begins at a colon with a word and `=` after it; other colons
 * belong to what stands before them.
 */
export interface PermissionPattern {
  /** False as well when an argument is missing and when the pattern makes no sense. Never throws. */
  matches(tool: string, args: unknown): boolean
  /** The same, but an argument that goes on after a trailing `*` must go on with a new word: `ls*` is not `lsof`. */
  matchesWords(tool: string, args: unknown): boolean
}

type Glob = readonly Piece[] | undefined
type Piece =
  | { readonly kind: 'rest' | 'one' }
  | { readonly kind: 'char'; readonly char: string }
  | { readonly kind: 'class'; readonly negated: boolean; readonly ranges: readonly Range[] }
type Range = readonly [from: number, to: number]

interface Condition {
  readonly argument: string
  readonly glob: Glob
}

export function parsePattern(text: string): PermissionPattern {
  const [tool = '', ...rest] = text.split(/:(\w+)=/)
  const name = parseGlob(tool)
  const conditions: Condition[] = []
  for (let at = 0; at < rest.length; at += 2) {
    conditions.push({ argument: rest[at] ?? '', glob: parseGlob(rest[at + 1] ?? '') })
  }
  const matches = (called: string, args: unknown, globMatches: GlobMatches) =>
    globMatch(name, called) &&
    conditions.every(({ argument, glob }) => {
      const value = argumentText(args, argument)
      return value !== undefined && globMatches(glob, value)
    })
  return {
    matches: (called, args) => matches(called, args, globMatch),
    matchesWords: (called, args) => matches(called, args, wordMatch),
  }
}

type GlobMatches = (glob: Glob, text: string) => boolean

/** `undefined` stands for what cannot be compiled. */
function parseGlob(text: string): Glob {
  const chars = [...text]
  const pieces: Piece[] = []
  for (let at = 0; at < chars.length; at += 1) {
    const char = chars[at] ?? ''
    if (char === '*') {
      if (pieces.at(-1)?.kind !== 'rest') pieces.push({ kind: 'rest' })
    } else if (char === '?') {
      pieces.push({ kind: 'one' })
    } else if (char === '\\' && at + 1 < chars.length) {
      at += 1
      pieces.push({ kind: 'char', char: fold(chars[at] ?? '') })
    } else if (char === '[') {
      const end = classEnd(chars, at)
      const piece: Piece | undefined = end === undefined ? { kind: 'char', char } : parseClass(chars.slice(at + 1, end))
      if (piece === undefined) return undefined
      pieces.push(piece)
      at = end ?? at
    } else {
      pieces.push({ kind: 'char', char: fold(char) })
    }
  }
  return pieces
}

function classEnd(chars: readonly string[], start: number): number | undefined {
  for (let at = start + 1; at < chars.length; at += 1) {
    if (chars[at] === '\\') at += 1
    else if (chars[at] === ']') return at
  }
  return undefined
}

/** `undefined` for a class without a member and for a range that runs backwards. */
function parseClass(inside: readonly string[]): Piece | undefined {
  const negated = inside[0] === '^'
  const ranges: Range[] = []
  let at = negated ? 1 : 0
  const next = () => {
    if (inside[at] === '\\' && at + 1 < inside.length) at += 1
    const code = inside[at]?.codePointAt(0) ?? 0
    at += 1
    return code
  }
  while (at < inside.length) {
    const from = next()
    const isRange = inside[at] === '-' && at + 1 < inside.length
    if (isRange) at += 1
    const to = isRange ? next() : from
    if (to < from) return undefined
    ranges.push([from, to])
  }
  return ranges.length === 0 ? undefined : { kind: 'class', negated, ranges }
}

/** Goes back to the last `*` only, so that no pattern is slow: at worst length times length. */
function globMatch(glob: Glob, text: string): boolean {
  if (glob === undefined) return false
  const chars = [...text]
  let piece = 0
  let at = 0
  let star: { readonly piece: number; at: number } | undefined
  while (at < chars.length) {
    const wanted = glob[piece]
    if (wanted?.kind === 'rest') {
      star = { piece, at }
      piece += 1
    } else if (wanted !== undefined && matchesOne(wanted, chars[at] ?? '')) {
      piece += 1
      at += 1
    } else if (star !== undefined) {
      star.at += 1
      at = star.at
      piece = star.piece + 1
    } else {
      return false
    }
  }
  return glob.slice(piece).every(({ kind }) => kind === 'rest')
}

function wordMatch(glob: Glob, text: string): boolean {
  const last = glob?.at(-2)
  const endsInsideWord =
    glob?.at(-1)?.kind === 'rest' && last !== undefined && !(last.kind === 'char' && last.char === ' ')
  if (glob === undefined || !endsInsideWord) return globMatch(glob, text)
  const stem = glob.slice(0, -1)
  return (
    globMatch(stem, text) ||
    globMatch([...stem, { kind: 'class', negated: false, ranges: blanks }, { kind: 'rest' }], text)
  )
}

const blanks: readonly Range[] = [
  [9, 13],
  [32, 32],
]

function matchesOne(piece: Piece, char: string): boolean {
  if (piece.kind === 'char') return piece.char === fold(char)
  if (piece.kind !== 'class') return true
  const spellings = [char, char.toLowerCase(), char.toUpperCase()].map((spelling) => spelling.codePointAt(0) ?? 0)
  return piece.negated !== piece.ranges.some(([from, to]) => spellings.some((code) => code >= from && code <= to))
}

/** One spelling for both cases of a letter; letters whose other case is several letters stay as they are. */
function fold(char: string): string {
  const upper = char.toUpperCase()
  const folded = ([...upper].length === 1 ? upper : char).toLowerCase()
  return [...folded].length === 1 ? folded : char
}

function argumentText(args: unknown, name: string): string | undefined {
  if (typeof args !== 'object' || args === null || Array.isArray(args) || !Object.hasOwn(args, name)) return undefined
  return goText(Reflect.get(args, name), 0)
}

/** Nothing that a person writes a pattern for is nested deeper. */
const deepest = 100

/** A JSON value as Go prints it: the form that patterns of the ancestor were written against. */
function goText(value: unknown, depth: number): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return goNumber(value)
  if (value === null || value === undefined) return '<nil>'
  if (typeof value !== 'object') return String(value)
  if (depth > deepest) return ''
  if (Array.isArray(value)) return `[${value.map((item) => goText(item, depth + 1)).join(' ')}]`
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `map[${entries.map(([key, item]) => `${key}:${goText(item, depth + 1)}`).join(' ')}]`
}

/** Go's shortest `%g`: an exponent of two digits and more, from a million up and below a ten-thousandth. */
function goNumber(value: number): string {
  if (Object.is(value, -0)) return '-0'
  const [digits = '', exponent = '0'] = value.toExponential().split('e')
  const power = Number(exponent)
  if (value === 0 || (power >= -4 && power < 6)) return String(value)
  return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
}
