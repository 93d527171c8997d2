import type { Asked } from '../client.ts'

/** A request that a client sent, and the `X-Request-Id` that it bears. */
export interface Deed extends Asked {
  readonly id: string
}

/** All that clients asked for, in the order in which they did. */
export class Deeds {
  readonly all: Deed[] = []
  readonly #name: string

  /** The name must be unlike that of other deeds. */
  constructor(name: string) {
    this.#name = name
  }

  /** Takes a request down, and answers what it is to be called. */
  note(asked: Asked): string {
    const id = `${this.#name}-${this.all.length}`
    this.all.push({ ...asked, id })
    return id
  }
}

/** Of `/ID/steer`: the session, and what was asked of it. */
export function placeOf({ method, path }: Asked): { readonly sessionId: string; readonly act: string } {
  const [, sessionId = '', ...rest] = path.replace(/\?.*/, '').split('/')
  return { sessionId, act: `${method} ${rest.join('/')}`.trim() }
}
