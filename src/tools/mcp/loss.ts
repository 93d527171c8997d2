/** Why a server is not there any more. */
export interface Loss {
  /** The end of a sentence that begins with the server's name. For people and for the model. */
  readonly reason: string
  /** The server ended by itself and without complaint. */
  readonly clean: boolean
}
