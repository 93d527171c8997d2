import ipaddr from 'ipaddr.js'

/**
 * Whether a host is one that a list means: `example.com` with all below it, `.example.com` and `*.example.com` only what
 * is below, an address itself, or a range such as `10.0.0.0/8`.
 */
export function isListed(url: URL, patterns: readonly string[]): boolean {
  const host = plain(url.hostname.replace(/^\[|\]$/g, ''))
  return patterns.some((pattern) => matches(host, plain(pattern)))
}

/** What is no pattern, if anything: it would never match, and a list that is thought to hold would not. */
export function findWrongDomain(patterns: readonly string[]): string | undefined {
  return patterns.find(
    (pattern) => !isRange(pattern) && (/[\s/]/.test(pattern) || /\*/.test(pattern.replace(/^\*\./, ''))),
  )
}

function plain(name: string): string {
  const bare = name.toLowerCase().replace(/\.$/, '')
  return ipaddr.isValid(bare) ? ipaddr.process(bare).toString() : bare
}

function matches(host: string, pattern: string): boolean {
  if (isRange(pattern)) return ipaddr.isValid(host) && isWithinRange(host, pattern)
  const below = pattern.replace(/^\*/, '')
  if (below.startsWith('.')) return host.endsWith(below) && host !== below
  return host === pattern || (!ipaddr.isValid(host) && host.endsWith(`.${pattern}`))
}

function isRange(pattern: string): boolean {
  return ipaddr.isValidCIDR(pattern)
}

function isWithinRange(host: string, pattern: string): boolean {
  const [range, bits] = ipaddr.parseCIDR(pattern)
  const address = ipaddr.process(host)
  return address.kind() === range.kind() && address.match(range, bits)
}
