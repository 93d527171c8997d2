/** Adds up the reports that vitest wrote into a folder, and fails when there is none or a test failed. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = process.argv[2]
const sum = { passed: 0, failed: 0, skipped: 0 }
const names = readdirSync(folder)
for (const name of names) {
  const report = JSON.parse(readFileSync(join(folder, name), 'utf8'))
  sum.passed += report.numPassedTests
  sum.skipped += report.numPendingTests + report.numTodoTests
  sum.failed += report.numFailedTests
  // A file that cannot even be loaded has no tests to count.
  for (const { status, assertionResults } of report.testResults) {
    if (status === 'failed' && !assertionResults.some((test) => test.status === 'failed')) sum.failed += 1
  }
}
console.log(`ci: ${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`)
if (names.length === 0 || sum.failed > 0) process.exitCode = 1
