import { CallFailure } from './result.ts'

export interface Edit {
  readonly oldText: string
  readonly newText: string
}

/** The text after all edits, one after the other. Throws a `CallFailure` when one of them does not say where it belongs. */
export function edited(text: string, edits: readonly Edit[]): string {
  return edits.reduce((current, edit, index) => applied(current, edit, `edits[${index}]`), text)
}

function applied(text: string, { oldText, newText }: Edit, name: string): string {
  if (oldText === '') throw new CallFailure(`${name}: oldText must not be empty. Nothing was changed.`)
  // Models see files without their carriage returns, or leave them out.
  const windows = !text.includes(oldText) && text.includes('\r\n')
  const [old, next] = windows ? [withReturns(oldText), withReturns(newText)] : [oldText, newText]
  const at = text.indexOf(old)
  const count = at === -1 ? 0 : text.split(old).length - 1
  if (count === 1) return text.slice(0, at) + next + text.slice(at + old.length)
  const why = count === 0 ? 'is not in the file' : `is in the file ${count} times: add lines around it that tell which`
  throw new CallFailure(`${name}: oldText ${why}. Nothing was changed.`)
}

function withReturns(text: string): string {
  return text.replace(/\r?\n/g, '\r\n')
}
