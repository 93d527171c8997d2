/** Waits for a promise, at most so many milliseconds. Tells whether it was settled in time; a failure is thrown. */
export async function settledWithin(promise: Promise<unknown>, milliseconds: number): Promise<boolean> {
  const late = Promise.withResolvers<false>()
  const timer = setTimeout(() => late.resolve(false), Math.max(milliseconds, 0))
  try {
    return await Promise.race([promise.then(() => true), late.promise])
  } finally {
    clearTimeout(timer)
  }
}
