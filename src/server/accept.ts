/** Whether a client wants JSON instead of a stream: its `Accept` names `application/json`, and not `text/event-stream`. */
export function prefersJson(accept: string | undefined): boolean {
  const named = (accept ?? '')
    .split(',')
    .map((range) => range.toLowerCase().split(';'))
    .filter(([, ...parameters]) => !parameters.some((parameter) => /^\s*q=0(\.0*)?\s*$/.test(parameter)))
    .map(([type = '']) => type.trim())
  return named.includes('application/json') && !named.includes('text/event-stream')
}
