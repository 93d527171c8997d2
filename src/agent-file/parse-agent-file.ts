import { resolve } from 'node:path'
import type { Agent, WrittenAgent } from './agent.ts'
import { type AgentFile, WrittenFile } from './agent-file-schema.ts'
import { joinTexts } from './fields.ts'
import { Finding, invalidAgentFile } from './finding.ts'
import { readInstructionFile, Unreadable } from './instruction-file.ts'
import { danglingReferences } from './references.ts'
import { readYaml } from './yaml-text.ts'

export interface ParseOptions {
  /** Where the text came from; messages begin with it. */
  readonly origin: string
  /** The directory that instruction files are looked up in; without one they are refused. */
  readonly baseDir?: string | undefined
  /** Told the path of every instruction file before it is read, also when it then cannot be. */
  readonly onRead?: (path: string) => void
}

/**
 * Checks the text of an agent file and brings older spellings up to date. `${env.NAME}` stays as it is written.
 * Throws the refusal `invalid_agent_file`, whose details name key and line, and nothing else.
 */
export function parseAgentFile(text: string, options: ParseOptions): AgentFile {
  const read = readYaml(text)
  if ('details' in read) throw invalidAgentFile(options.origin, read.details)
  const { yaml } = read
  const refusal = (findings: readonly Finding[]) =>
    invalidAgentFile(
      options.origin,
      findings.map((finding) => Finding.toDetail(finding, yaml.lineOf(finding.path))),
    )
  const written = WrittenFile.safeParse(yaml.value)
  if (!written.success) throw refusal(Finding.fromIssues(written.error.issues, yaml.value))
  const findings: Finding[] = []
  const { agents, ...rest } = written.data
  const names = new Set([...yaml.keysOf(['agents']), ...Object.keys(agents)])
  const file: AgentFile = {
    agents: [...names].flatMap((name) => {
      const agent = agents[name]
      return agent === undefined ? [] : [upToDate(name, agent, options, findings)]
    }),
    ...rest,
  }
  findings.push(...danglingReferences(file))
  if (findings.length > 0) throw refusal(findings)
  return file
}

function upToDate(name: string, written: WrittenAgent, options: ParseOptions, findings: Finding[]): Agent {
  const { instruction_file, rag, ...agent } = written
  const current: Agent = { Name: name, ...agent }
  if (instruction_file !== undefined) {
    const path = ['agents', name, 'instruction_file']
    if (agent.instruction !== undefined) findings.push({ path, message: 'goes not together with instruction' })
    current.instruction = inlined(instruction_file, path, options, findings)
  }
  if (rag !== undefined) {
    const sources = rag.map((ref) => ({ type: 'rag' as const, ref }))
    current.toolsets = [...(agent.toolsets ?? []), ...sources]
  }
  return current
}

function inlined(
  files: readonly string[],
  path: readonly string[],
  options: ParseOptions,
  findings: Finding[],
): string {
  const { baseDir, onRead } = options
  if (baseDir === undefined) {
    findings.push({ path, message: 'is possible only in files that lie in a directory' })
    return ''
  }
  const texts = files.map((file) => {
    onRead?.(resolve(baseDir, file))
    try {
      return readInstructionFile(file, baseDir)
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error
      findings.push({ path, message: `${file}: ${error.message}` })
      return ''
    }
  })
  return joinTexts(texts)
}
