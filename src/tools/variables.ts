export type Variables = Readonly<Record<string, string | undefined>>

/** Names that begin so are settings of this server, among them its token. */
const ours = 'QUARTERDECK_'

const placeholder = /\$\{headers\.([^}\s]+)\}/gi

/** The variables that an agent may see, which are all but those of the server. */
export function agentVariables(variables: Variables): Variables {
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !name.startsWith(ours)))
}

/** Puts in the values for `${env.NAME}`; what is not set is empty. */
export function expandVariables(text: string, variables: Variables): string {
  return text.replace(/\$\{env\.([A-Za-z_]\w*)\}/g, (_, name: string) => variables[name] ?? '')
}

/** Also takes `${NAME}` and `$NAME`, for fields in which people write them as in a shell. */
export function expandShellVariables(text: string, variables: Variables): string {
  const expanded = expandVariables(text, variables)
  return expanded.replace(/\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))/g, (_, braced?: string, bare?: string) => {
    return variables[braced ?? bare ?? ''] ?? ''
  })
}

/** Puts in the values for `${headers.NAME}`, in whatever case, from the API request behind a run. */
export function expandHeaders(text: string, headers: Readonly<Record<string, string>>): string {
  return text.replace(placeholder, (_, name: string) => {
    const found = Object.entries(headers).find(([key]) => key.toLowerCase() === name.toLowerCase())
    return found?.[1] ?? ''
  })
}

/** Headers as they are sent. One that names a header which the API request does not have, or that is empty, is left out. */
export function headersToSend(
  configured: Readonly<Record<string, string>>,
  incoming: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const known = new Set(Object.keys(incoming).map((name) => name.toLowerCase()))
  const isWhole = (text: string) =>
    [...text.matchAll(placeholder)].every(([, name = '']) => known.has(name.toLowerCase()))
  const sent = Object.entries(configured).filter(([, text]) => isWhole(text))
  const values = sent.map(([name, text]) => [name, expandHeaders(text, incoming).trim()] as const)
  return Object.fromEntries(values.filter(([, value]) => value !== ''))
}

/** {@link expandVariables} for all texts within a value. */
export function expandWithin<T>(value: T, variables: Variables): T
export function expandWithin(value: unknown, variables: Variables): unknown {
  if (typeof value === 'string') return expandVariables(value, variables)
  if (Array.isArray(value)) return value.map((item) => expandWithin(item, variables))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, expandWithin(field, variables)]))
}

/** The environment's variables and those that an agent file adds to them. */
export function withVariables(variables: Variables, added: Readonly<Record<string, string>> = {}): Variables {
  const expanded = Object.entries(added).map(([name, text]) => [name, expandShellVariables(text, variables)])
  return { ...variables, ...Object.fromEntries(expanded) }
}
