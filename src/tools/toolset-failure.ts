/** A toolset cannot be started. The message is one sentence for the person who runs the agent, without secrets. */
export class ToolsetFailure extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'ToolsetFailure'
  }
}
