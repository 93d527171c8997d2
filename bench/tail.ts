/** A client at the events of a session, that only remembers the text. */
export class Tail implements AsyncDisposable {
  readonly #reader: ReadableStreamDefaultReader<string>
  #text = ''

  private constructor(body: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = body.pipeThrough(new TextDecoderStream()).getReader()
  }

  /** Opens it at the beginning of the log. */
  static async open(url: string, sessionId: string): Promise<Tail> {
    const response = await fetch(`${url}/api/sessions/${sessionId}/events?since=0`)
    if (!response.ok || response.body === null) throw new Error(`the tail was refused: ${response.status}`)
    return new Tail(response.body)
  }

  /** Reads until everything so far satisfies a condition, and answers with it. Rejects when the tail ends before. */
  async until(isEnough: (text: string) => boolean): Promise<string> {
    while (!isEnough(this.#text)) {
      const { done, value } = await this.#reader.read()
      if (done) throw new Error('the tail ended too soon')
      this.#text += value
    }
    return this.#text
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader.cancel()
  }
}
