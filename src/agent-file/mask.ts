const masked = '***'

const maps = /^(env|headers|http_headers)$/i
/** Maps whose keys are names that somebody chose, and mean nothing here. */
const named = /^(agents|models|providers|mcps|rag|commands|skills|toolsets|shell|budgets|flavors|args|properties)$/
const secretKey = /(^|_|-)(secret|password|passwd|token|api_?key|access_?key|private_?key|authorization|credentials?)$/i
const camelSecretKey = /(Secret|Password|Token|ApiKey|AccessKey|PrivateKey)$/
const addressKey = /^(url|base_url|endpoint|unload_api)$/i
const secretFlag = /^--?[\w-]*(token|secret|password|api-?key|auth)[\w-]*(=|$)/i
/** Tokens that give themselves away by their shape. */
const knownToken =
  /\b(sk-[\w-]{16,}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abposr]-[\w-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,})/g

/**
 * The same value with everything masked that is or may be a secret: header and environment values, values under keys
 * that speak of secrets, passwords in addresses, tokens known by their shape. References such as `${env.NAME}` stay.
 */
export function mask(value: unknown, key = ''): unknown {
  if (typeof value === 'string') return maskText(value, key)
  if (typeof value === 'number' && isSecret(key)) return masked
  if (Array.isArray(value)) return key === 'args' ? maskArguments(value) : value.map((item) => mask(item))
  if (typeof value !== 'object' || value === null) return value
  if (maps.test(key)) return mapValues(value, (inner) => hideAll(inner))
  return mapValues(value, (inner, name) => mask(inner, named.test(key) ? '' : name.replace(/[+-]$/, '')))
}

/** For an address that is itself the secret. */
export function hide(text: string): string {
  const rest = text.replace(/\$\{[\w.-]+\}/g, '').trim()
  return text === '' || (rest !== text.trim() && /^(bearer|basic|token)?$/i.test(rest)) ? text : masked
}

function maskText(text: string, key: string): string {
  if (key === 'token_key') return /^[A-Z_][A-Z0-9_]*$/.test(text) ? text : masked
  if (isSecret(key)) return hide(text)
  const address = addressKey.test(key) ? maskAddress(text) : text
  return address.replace(knownToken, masked)
}

function maskAddress(text: string): string {
  return text
    .replace(/^([a-z][a-z0-9+.-]*:\/\/)([^/?#@]*)@/i, (_, scheme: string, user: string) => `${scheme}${hide(user)}@`)
    .replace(/([?&])([^=&#]+)=([^&#]*)/g, (whole, mark: string, name: string, value: string) =>
      secretKey.test(name) || /^(key|sig|signature|auth)$/i.test(name) ? `${mark}${name}=${hide(value)}` : whole,
    )
}

/** Command line arguments: `--token x` and `--token=x`. */
function maskArguments(args: readonly unknown[]): unknown[] {
  return args.map((arg, index) => {
    if (typeof arg !== 'string') return mask(arg)
    const flag = secretFlag.exec(arg)
    if (flag !== null) return flag[2] === '=' ? `${flag[0]}${hide(arg.slice(flag[0].length))}` : arg
    const before = args[index - 1]
    const afterFlag = typeof before === 'string' && secretFlag.exec(before)?.[2] === ''
    return afterFlag && !arg.startsWith('-') ? hide(arg) : arg.replace(knownToken, masked)
  })
}

function isSecret(key: string): boolean {
  return secretKey.test(key) || camelSecretKey.test(key)
}

function hideAll(value: unknown): unknown {
  if (typeof value === 'string') return hide(value)
  if (Array.isArray(value)) return value.map(hideAll)
  if (typeof value !== 'object' || value === null) return masked
  return mapValues(value, hideAll)
}

function mapValues(value: object, change: (inner: unknown, name: string) => unknown): Record<string, unknown> {
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined)
  return Object.fromEntries(entries.map(([name, inner]) => [name, change(inner, name)]))
}
