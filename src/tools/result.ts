import type { ToolCallResult } from '../protocol/protocol.ts'

/** A tool could not do what it was asked. The message is for the model, which may do better next time. */
export class CallFailure extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'CallFailure'
  }
}

export function success(output: string): ToolCallResult {
  return { output }
}

export function failure(output: string): ToolCallResult {
  return { output, isError: true }
}

export function json(value: unknown): ToolCallResult {
  return { output: JSON.stringify(value) }
}

/** The result that an error stands for; `undefined` for a defect. */
export function resultOf(error: unknown): ToolCallResult | undefined {
  if (error instanceof CallFailure) return failure(error.message)
  if (error instanceof Error && 'code' in error && typeof error.code === 'string' && !error.code.startsWith('ERR_')) {
    return failure(error.message || error.code)
  }
  return undefined
}
