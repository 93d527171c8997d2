interface Rule {
  readonly allow: boolean
  readonly path: string
}

interface Group {
  readonly agents: string[]
  readonly rules: Rule[]
}

/** What a site's `robots.txt` lets a program read (RFC 9309). */
export class Robots {
  readonly #rules: readonly Rule[]

  /** `agent` is the program's name, in lower case. */
  constructor(text: string, agent: string) {
    const groups = groupsOf(text)
    const own = groups.filter(({ agents }) => agents.includes(agent))
    const meant = own.length > 0 ? own : groups.filter(({ agents }) => agents.includes('*'))
    this.#rules = meant.flatMap(({ rules }) => rules)
  }

  /** The longest rule that matches decides; between two as long, the one that allows. */
  allows({ pathname, search }: URL): boolean {
    const path = pathname + search
    const matching = this.#rules.filter((rule) => matches(rule.path, path))
    const longest = Math.max(0, ...matching.map((rule) => rule.path.length))
    const decisive = matching.filter((rule) => rule.path.length === longest)
    return decisive.length === 0 || decisive.some(({ allow }) => allow)
  }
}

/** Lines about agents that follow each other begin a group; the rules after them are for all of these. */
function groupsOf(text: string): readonly Group[] {
  const groups: Group[] = []
  let naming = false
  for (const line of text.split(/\r\n|\r|\n/)) {
    const [, key = '', value = ''] = /^\s*([A-Za-z-]+)\s*:\s*([^#]*)/.exec(line) ?? []
    const field = key.toLowerCase()
    if (field === 'user-agent') {
      if (!naming) groups.push({ agents: [], rules: [] })
      groups.at(-1)?.agents.push(value.trim().toLowerCase())
      naming = true
    } else if (field === 'allow' || field === 'disallow') {
      naming = false
      if (value.trim() !== '') groups.at(-1)?.rules.push({ allow: field === 'allow', path: value.trim() })
    }
  }
  return groups
}

/** `*` stands for any text, and `$` at the end for the end. Never goes back further than to the last `*`. */
function matches(rule: string, path: string): boolean {
  const anchored = rule.endsWith('$')
  const parts = (anchored ? rule.slice(0, -1) : rule).split('*')
  const [first = '', ...rest] = parts
  if (!path.startsWith(first)) return false
  let at = first.length
  for (const part of rest) {
    const found = path.indexOf(part, at)
    if (found === -1) return false
    at = found + part.length
  }
  if (!anchored) return true
  const last = rest.at(-1)
  return last === undefined ? at === path.length : path.endsWith(last)
}
