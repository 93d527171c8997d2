import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Toolset } from '../../src/tools/tools.ts'
import { call, type TestCall } from '../tools/call.ts'

interface Ask {
  readonly name: string
  readonly args: unknown
}

/** A toolset that is not started, and calls that it can be asked for. */
export interface ToolsetBench extends AsyncDisposable {
  readonly toolset: Toolset
  /** Succeeds, also more than once. */
  readonly good: Ask
  /** Has arguments that cannot be repaired. */
  readonly wrong: Ask
  /** Succeeds with much more than a result may hold. */
  readonly flooding?: Ask
  /** Goes on until it is stopped. */
  readonly hanging?: Ask
  /** Resolves when the hanging call is under way. */
  hangs?(test: TestCall): Promise<void>
  /** Whether anything that the hanging call started is still there. */
  remains?(): boolean | Promise<boolean>
}

const maxOutput = 50 * 1024 + 1024
const signal = new AbortController().signal

/** What every toolset promises (`src/tools/tools.ts`). */
export function toolsetContract(name: string, open: () => Promise<ToolsetBench>, lacks: readonly string[] = []): void {
  const skips = (what: string) => lacks.includes(what)

  describe(`${name} keeps the promises of a toolset`, () => {
    it('has tools from its start to its close only (T1)', async () => {
      await using bench = await open()
      const { toolset } = bench
      expect(toolset.tools).toEqual([])
      await toolset.start(signal)
      await toolset.start(signal)
      expect(toolset.tools.length).toBeGreaterThan(0)
      for (const tool of toolset.tools) expect(tool.parameters).toMatchObject({ type: 'object' })
      await toolset.close()
      expect(toolset.tools).toEqual([])
    })

    it('answers a call of a tool that it does not have with an error (T2)', async () => {
      await using bench = await open()
      await bench.toolset.start(signal)
      expect(await call(bench.toolset, 'no_such_tool', {}).result).toMatchObject({ isError: true })
    })

    it('answers arguments that it cannot use with an error (T2)', async () => {
      await using bench = await open()
      await bench.toolset.start(signal)
      for (const args of [bench.wrong.args, '{"half', '[]', 7]) {
        expect(await call(bench.toolset, bench.wrong.name, args).result).toMatchObject({ isError: true })
      }
    })

    it("throws the signal's reason when it was aborted before the call (T2)", async () => {
      await using bench = await open()
      await bench.toolset.start(signal)
      const reason = new Error('stopped')
      const test = call(bench.toolset, bench.good.name, bench.good.args, { signal: AbortSignal.abort(reason) })
      await expect(test.result).rejects.toBe(reason)
    })

    it('takes arguments as text and as a value (T2)', async () => {
      await using bench = await open()
      await bench.toolset.start(signal)
      const { name, args } = bench.good
      expect((await call(bench.toolset, name, args).result).isError ?? false).toBe(false)
      expect((await call(bench.toolset, name, JSON.stringify(args)).result).isError ?? false).toBe(false)
    })

    it.skipIf(skips('hanging'))("leaves with the signal's reason and leaves nothing behind (T3)", async () => {
      await using bench = await open()
      const { toolset, hanging } = bench
      await toolset.start(signal)
      const test = call(toolset, hanging?.name ?? '', hanging?.args)
      await bench.hangs?.(test)
      const reason = new Error('stopped')
      test.stop(reason)
      await expect(test.result).rejects.toBe(reason)
      expect((await bench.remains?.()) ?? false).toBe(false)
    })

    it.skipIf(skips('flooding'))('bounds its results, and keeps what was cut until its close (T4, T5)', async () => {
      await using bench = await open()
      const { toolset, flooding } = bench
      await toolset.start(signal)
      const { output } = await call(toolset, flooding?.name ?? '', flooding?.args).result
      expect(output.length).toBeGreaterThan(5_000)
      expect(Buffer.byteLength(output)).toBeLessThan(maxOutput)
      const kept = /all of it is in (\S+)\]/.exec(output)?.[1]
      if (kept !== undefined) expect(existsSync(kept)).toBe(true)
      await toolset.close()
      if (kept !== undefined) expect(existsSync(kept)).toBe(false)
    })

    it.skipIf(skips('hanging'))('ends its calls when it is closed (T5)', async () => {
      await using bench = await open()
      const { toolset, hanging } = bench
      await toolset.start(signal)
      const test = call(toolset, hanging?.name ?? '', hanging?.args)
      await bench.hangs?.(test)
      await toolset.close()
      expect(await test.result).toMatchObject({ isError: true })
      expect((await bench.remains?.()) ?? false).toBe(false)
    })

    it('can be closed twice, and started again (T5)', async () => {
      await using bench = await open()
      const { toolset, good } = bench
      await toolset.close()
      await toolset.start(signal)
      await Promise.all([toolset.close(), toolset.close()])
      await toolset.start(signal)
      expect((await call(toolset, good.name, good.args).result).isError ?? false).toBe(false)
      await toolset.close()
      expect(await call(toolset, good.name, good.args).result).toMatchObject({ isError: true })
    })
  })
}
