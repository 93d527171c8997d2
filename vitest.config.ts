import { configDefaults, defineConfig } from 'vitest/config'

/** What takes minutes, a group each: `vitest run --mode crash`. */
const slow = ['crash', 'package']

export default defineConfig(({ mode }) => ({
  test: slow.includes(mode)
    ? { include: [`test/${mode}/**/*.test.ts`], testTimeout: 600_000, hookTimeout: 600_000, passWithNoTests: true }
    : {
        include: ['test/**/*.test.ts'],
        exclude: [...configDefaults.exclude, ...slow.map((group) => `test/${group}/**`)],
      },
}))
