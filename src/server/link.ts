/** A `Link` header that names the page that follows: the same request with another cursor. */
export function nextLink(url: string, cursor: string | number): string {
  const next = new URL(url, 'http://localhost')
  next.searchParams.set('cursor', String(cursor))
  return `<${next.pathname}${next.search}>; rel="next"`
}
