import { configDefaults, defineConfig } from 'vitest/config'

/** What takes minutes, a group each: `vitest run --mode crash`. */
const slow = ['crash', 'package']

/** Only there so that a test that hangs ends: no test is late on a slow machine. */
const patience = 120_000

export default defineConfig(({ mode }) => ({
  test: slow.includes(mode)
    ? {
        expect: { poll: { timeout: patience } },
        include: [`test/${mode}/**/*.test.ts`],
        testTimeout: 5 * patience,
        hookTimeout: 5 * patience,
        globalSetup: mode === 'crash' ? ['test/crash/build.ts'] : [],
      }
    : {
        include: ['test/**/*.test.ts'],
        expect: { poll: { timeout: patience } },
        exclude: [...configDefaults.exclude, ...slow.map((group) => `test/${group}/**`)],
        testTimeout: patience,
        hookTimeout: patience,
        // V8 keeps a table of its code pages where the processor has protection keys, and dies of a missing entry now and then when
        // threads come and go by the hundred, as the writers of the stores do here.
        execArgv: ['--no-memory-protection-keys'],
        // Many tests wait for processes of their own: on two cores one worker would leave a core idle.
        maxWorkers: '100%',
      },
}))
