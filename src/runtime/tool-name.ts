const allowed = /[A-Za-z0-9_-]{1,64}/

/**
 * The name of a tool as a model meant it: one that exists stays as it is, every other is cut to the first part of it that
 * providers take in a history (`shell<|channel|>json` was `shell`).
 */
export function toolName(written: string, exists: (name: string) => boolean): string {
  return exists(written) ? written : (allowed.exec(written)?.[0] ?? 'unnamed')
}
