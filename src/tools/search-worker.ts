/** The thread of one search: an expression may take for ever, and only a thread of its own can be stopped then. */
import { parentPort, workerData } from 'node:worker_threads'
import { type Search, searchText } from './search-text.ts'

for (const matches of searchText(workerData as Search)) parentPort?.postMessage(matches)
