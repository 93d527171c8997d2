import { readdirSync, statSync } from 'node:fs'
import { basename, extname } from 'node:path'
import { isUrl } from './config.ts'

/**
 * One line of shell that creates a session and streams a run of the agent. `url` is what `listen` answered; there is no
 * line for an inherited socket that is not TCP. The token is not written out: the shell takes it from its variable.
 */
export function tryLine(url: string, agent: string, withToken: boolean): string | undefined {
  if (url.startsWith('fd://')) return undefined
  const socket = url.startsWith('unix://') ? ` --unix-socket ${quote(url.slice('unix://'.length))}` : ''
  const base = socket ? 'http://localhost' : url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:')
  const curl = `curl -s${socket}${withToken ? ' -H "Authorization: Bearer $QUARTERDECK_AUTH_TOKEN"' : ''}`
  const session = `$(${curl} -X POST "${base}/api/sessions" | cut -d'"' -f4)`
  const body = JSON.stringify({ messages: [{ role: 'user', content: 'hello' }] })
  return `${curl} -N "${base}/api/sessions/${session}/agent/${agent}" -H "Content-Type: application/json" -d '${body}'`
}

/** The agent of the source that is worth a first try, as it stands in a URL: `demo` where a directory has it. */
export function firstAgent(source: string): string | undefined {
  if (isUrl(source)) return encodeURIComponent(source)
  if (!statSync(source, { throwIfNoEntry: false })?.isDirectory()) return encodeURIComponent(nameOf(source))
  const names = readdirSync(source)
    .filter((name) => /\.ya?ml$/i.test(name))
    .map(nameOf)
    .sort()
  const name = names.find((each) => each === 'demo') ?? names[0]
  return name === undefined ? undefined : encodeURIComponent(name)
}

function nameOf(file: string): string {
  return basename(file, extname(file))
}

function quote(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
