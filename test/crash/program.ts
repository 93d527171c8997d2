import { resolve } from 'node:path'

/** The program as it is built. */
export const program = resolve(import.meta.dirname, '../../dist/main.js')
