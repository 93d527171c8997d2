/** A page of events: at most so many segments and bytes. */
export const eventPage = { segments: 256, bytes: 256 * 1024 } as const

/** As many of the first segments as a page may have; one always, if there is one. `size` in bytes. */
export function fitting<T extends { readonly size: number }>(segments: readonly T[]): readonly T[] {
  let size = 0
  const tooMany = segments.findIndex((segment, index) => {
    size += segment.size
    return index > 0 && size > eventPage.bytes
  })
  return tooMany === -1 ? segments : segments.slice(0, tooMany)
}
