/**
 * To be loaded before a program: QUARTERDECK_CLOCK moves the clock of its main thread, in milliseconds, and each SIGUSR2 sets it
 * back by an hour. The monotonic clock stays.
 */
const hour = 3_600_000
const RealDate = Date
let offset = Number(process.env.QUARTERDECK_CLOCK ?? 0)

process.on('SIGUSR2', () => {
  offset -= hour
})

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [target.now() + offset] : args, newTarget),
  apply: (target) => new target(target.now() + offset).toString(),
  get: (target, key, receiver) => (key === 'now' ? () => target.now() + offset : Reflect.get(target, key, receiver)),
})
