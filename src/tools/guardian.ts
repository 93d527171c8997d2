import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { Socket } from 'node:net'

/**
 * Waits for the end of its input, which comes with the end of this process, however it ends. Then kills what carries the mark,
 * with its process groups, until nobody was found twice in a row: a process may just be on its way. Gives up after some seconds.
 */
const script = `
trap '' HUP INT QUIT TERM
while read -r line; do :; done
mark=$1 calm=0 round=0
while [ $calm -lt 2 ] && [ $round -lt 100 ]; do
  calm=$((calm + 1)) round=$((round + 1))
  for place in $(grep -lsF -e "$mark" /proc/[0-9]*/environ); do
    calm=0 place=\${place%/environ}
    read -r stat <"$place/stat" || continue
    # The name of the program, in brackets, may hold anything; state, parent and group follow it.
    set -- \${stat##*) }
    kill -s KILL -- "-$3" "\${place#/proc/}"
  done
  sleep 0.05
done
`

let guardian: ChildProcess | undefined

/**
 * Sees to it that processes with this mark in their environment do not outlive this one: a small process does it, which
 * lives as long as this one and a moment longer. There is one at most, and none where the system has no `/proc`.
 */
export function guard(mark: string): void {
  if (guardian !== undefined || !existsSync('/proc/self/environ')) return
  const child = spawn('/bin/sh', ['-c', script, 'quarterdeck-guardian', mark], {
    cwd: '/',
    env: { PATH: process.env.PATH },
    // Its own session: what a terminal sends to this process is not for it.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const forget = () => {
    if (guardian === child) guardian = undefined
  }
  child.once('error', forget).once('exit', forget).unref()
  child.stdin.on('error', () => {})
  if (child.stdin instanceof Socket) child.stdin.unref()
  guardian = child
}
