/** Milliseconds in which anything happens that happens at all, also on a machine that is slow or busy. */
export const patience = 60_000
