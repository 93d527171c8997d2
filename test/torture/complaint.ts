/** Somebody was told, or shown, what must not be. */
export class Complaint extends Error {
  /** The session that it is about, if it is about one. */
  readonly session: string | undefined

  constructor(message: string, session?: string) {
    super(message)
    this.name = 'Complaint'
    this.session = session
  }
}

/** Throws a {@link Complaint} unless the condition holds. */
export function must(condition: boolean, message: string, session?: string): asserts condition {
  if (!condition) throw new Complaint(message, session)
}
