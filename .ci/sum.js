/** Adds up the reports that vitest wrote into a folder, names what failed, and fails when there is none or a test failed. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

const folder = process.argv[2]
const sum = { passed: 0, failed: 0, skipped: 0 }
const names = readdirSync(folder)
for (const name of names) {
  const report = JSON.parse(readFileSync(join(folder, name), 'utf8'))
  sum.passed += report.numPassedTests
  sum.skipped += report.numPendingTests + report.numTodoTests
  sum.failed += report.numFailedTests
  // A file that cannot even be loaded has no tests to count.
  for (const { name: file, status, message, assertionResults } of report.testResults) {
    const failed = assertionResults.filter((test) => test.status === 'failed')
    for (const { fullName, failureMessages } of failed) tell(file, fullName, failureMessages.join('\n'))
    if (status !== 'failed' || failed.length > 0) continue
    sum.failed += 1
    tell(file, 'the whole file', message)
  }
}
console.log(`ci: ${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`)
if (names.length === 0 || sum.failed > 0) process.exitCode = 1

/** The begin of a failure is enough to find it: values, or the seed of a property. */
function tell(file, test, message = '') {
  const begin = message.split('\n').slice(0, 15).join('\n').slice(0, 1500)
  console.log(`ci: failed: ${relative(process.cwd(), file)}: ${test}\n${begin.replace(/^/gm, '    ')}`)
}
