/** Which tools a group of hooks is for: all without a matcher and for `*`, else those whose whole name fits. */
export function compileMatcher(matcher: string | undefined): ((tool: string) => boolean) | undefined {
  if (matcher === undefined || matcher === '' || matcher === '*') return () => true
  // Go writes flags in front of an expression, JavaScript behind it.
  const [, ignoresCase, body = ''] = /^(\(\?i\))?([\s\S]*)$/.exec(matcher) ?? []
  try {
    const pattern = new RegExp(`^(?:${body})$`, ignoresCase === undefined ? '' : 'i')
    return (tool) => pattern.test(tool)
  } catch {
    return undefined
  }
}
