/**
 * To be loaded before a program: a week passes on its clock in a minute, and what it does every hour it does every five
 * seconds, so that a soak sees what is kept for days come and go. The monotonic clock stays.
 */
const speed = 7 * 24 * 60
const hourMs = 3_600_000
const hourlyMs = 5000
const RealDate = Date
const realInterval = globalThis.setInterval
const began = RealDate.now()
const now = (): number => began + (RealDate.now() - began) * speed

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
  apply: (target) => new target(now()).toString(),
  get: (target, key, receiver) => (key === 'now' ? now : Reflect.get(target, key, receiver)),
})

globalThis.setInterval = new Proxy(realInterval, {
  apply: (target, self, [work, ms, ...rest]) =>
    Reflect.apply(target, self, [work, ms === hourMs ? hourlyMs : ms, ...rest]),
})
