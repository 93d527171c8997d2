import type { Server } from 'node:net'

/** Listens on a free port of this machine and says where, as the server under measurement does. */
export function listen(server: Server): void {
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (address !== null && typeof address === 'object') console.log(`listens on http://127.0.0.1:${address.port}`)
  })
}
