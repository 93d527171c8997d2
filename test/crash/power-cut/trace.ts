import { spawnSync } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'

/** What is watched: everything that changes a file, makes it durable, or tells somebody something. */
const watched = [
  ...['openat', 'open', 'creat', 'write', 'writev', 'pwrite64', 'pwritev', 'sendto', 'sendmsg'],
  ...['ftruncate', 'truncate', 'fallocate', 'fsync', 'fdatasync'],
  ...['rename', 'renameat', 'renameat2', 'unlink', 'unlinkat'],
]

/** What comes before a command so that its system calls are written to a file. The command keeps its own process id. */
export function traced(file: string): readonly string[] {
  const how = ['-D', '-f', '--seccomp-bpf', '-qq', '-v', '-y', '-xx', '-s', '100000000']
  return [...how, '-e', 'signal=none', '-e', `trace=${watched.join(',')}`, '-o', file]
}

/** Whether system calls can be watched here: `strace` is there, and may watch others. */
export function canTrace(): boolean {
  return spawnSync('strace', [...traced('/dev/null'), 'true']).status === 0
}

/** A system call that did what it was asked. */
export interface Call {
  readonly name: string
  /** Paths and file descriptors among the arguments, the latter as what they stand for: a path, or `socket:[7]`. */
  readonly targets: readonly string[]
  /** What was written of it. */
  readonly data: Buffer
  /** The arguments after the data, and flags. */
  readonly rest: string
  readonly result: number
}

/** Who is told something hears it as soon as the call begins; everything else has happened when it ends. */
const tells = ['write', 'writev', 'sendto', 'sendmsg']

/** The calls of a trace, in an order that they can have happened in. */
export async function readTrace(path: string): Promise<readonly Call[]> {
  const calls: Call[] = []
  const open = new Map<string, { readonly text: string; readonly place: number | undefined }>()
  for await (const line of createInterface({ input: createReadStream(path, 'latin1') })) {
    const space = line.indexOf(' ')
    const thread = line.slice(0, space)
    const text = line.slice(space).trimStart()
    if (text.endsWith(' <unfinished ...>')) {
      const begun = text.slice(0, -' <unfinished ...>'.length)
      const early = tells.includes(nameOf(begun)) && begun.includes(socket)
      open.set(thread, { text: begun, place: early ? calls.push(nothing) - 1 : undefined })
    } else if (text.startsWith('<... ')) {
      const { text: begun, place = calls.length } = open.get(thread) ?? { text: '' }
      open.delete(thread)
      const call = callOf(begun + text.slice(text.indexOf(' resumed>') + ' resumed>'.length))
      if (call !== undefined) calls[place] = call
    } else {
      const call = callOf(text)
      if (call !== undefined) calls.push(call)
    }
  }
  // What was being told when the process ended may have been heard.
  for (const { text, place } of open.values()) {
    if (place !== undefined) calls[place] = callOf(`${text}) = ${Number.MAX_SAFE_INTEGER}`) ?? nothing
  }
  return calls
}

const nothing: Call = { name: 'nothing', targets: [], data: Buffer.alloc(0), rest: '', result: 0 }
/** `<socket:` as strace writes it. */
const socket = `<${[...'socket:'].map((char) => `\\x${char.charCodeAt(0).toString(16)}`).join('')}`

function nameOf(text: string): string {
  return text.slice(0, text.indexOf('('))
}

function callOf(text: string): Call | undefined {
  const end = text.lastIndexOf(' = ')
  const result = Number.parseInt(text.slice(end + 3), 10)
  if (end === -1 || !(result >= 0)) return undefined
  const name = nameOf(text)
  const args = text.slice(name.length + 1, text.lastIndexOf(')', end))
  const strings = quoted(args)
  const files = [...args.matchAll(/<((?:\\x[0-9a-f]{2})+)>/g)].map(([, hex]) => bytesOf(hex ?? '').toString())
  const isPath = /^(open|creat|rename|unlink|truncate)/.test(name)
  const paths = isPath ? strings.map((string) => string.toString()) : []
  return {
    name,
    targets: [...files, ...paths],
    data: isPath ? Buffer.alloc(0) : Buffer.concat(strings).subarray(0, result),
    rest: args.slice(args.lastIndexOf('"') + 1),
    result,
  }
}

function quoted(args: string): readonly Buffer[] {
  const strings: Buffer[] = []
  for (let from = args.indexOf('"'); from !== -1; ) {
    const to = args.indexOf('"', from + 1)
    strings.push(bytesOf(args.slice(from + 1, to)))
    from = args.indexOf('"', to + 1)
  }
  return strings
}

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll('\\x', ''), 'hex')
}
