/** A place cannot be reached, or must not be. The message is a clause that says why, without what the URL may hide. */
export class NetFailure extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'NetFailure'
  }
}
