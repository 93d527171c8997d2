import { readFileSync } from 'node:fs'

/** An environment file cannot be used. The message is one sentence that names the file and the line. */
export class EnvFileError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'EnvFileError'
  }
}

const ours = 'QUARTERDECK_'

/**
 * The variables of the files, a later file over an earlier one. Lines are `KEY=VALUE`, also after `export`; `#` begins
 * a comment; a value in double quotes knows `\n`, `\t`, `\"` and `\\`, one in single quotes is taken as it is.
 * Settings of the server itself are refused: they would come too late to count.
 */
export function readEnvFiles(paths: readonly string[]): Readonly<Record<string, string>> {
  return Object.assign({}, ...paths.map((path) => parseEnvFile(read(path), path)))
}

/** The variables of one file; `name` is how an error calls it. */
export function parseEnvFile(text: string, name: string): Readonly<Record<string, string>> {
  const variables: Record<string, string> = {}
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  for (const [index, line] of lines.entries()) {
    const where = `line ${index + 1} of ${name}`
    if (/^\s*(#|$)/.test(line)) continue
    const match = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$/.exec(line)
    const value = match ? readValue(match[2] ?? '') : undefined
    if (!match || value === undefined) throw new EnvFileError(`${where} is not KEY=VALUE`)
    const key = match[1] ?? ''
    if (key.startsWith(ours)) {
      throw new EnvFileError(
        `${where} sets ${key}: settings of the server are flags or variables of its own environment`,
      )
    }
    variables[key] = value
  }
  return variables
}

function readValue(text: string): string | undefined {
  const quoted = /^(?:"((?:[^"\\]|\\.)*)"|'([^']*)')\s*(?:#.*)?$/.exec(text)
  if (quoted) return quoted[2] ?? expand(quoted[1] ?? '')
  if (/^["']/.test(text)) return undefined
  return text.replace(/(^|\s+)#.*$/, '')
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }

function expand(text: string): string {
  return text.replace(/\\(.)/g, (_, character: string) => escapes[character] ?? character)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    const reason = code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'permission denied' : code
    throw new EnvFileError(`cannot read the environment file ${path}: ${reason}`, error)
  }
}
