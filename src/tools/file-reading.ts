import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import type { ToolCallResult } from '../protocol/protocol.ts'
import { type BuiltInTool, builtInTool, readOnly } from './built-in-tool.ts'
import type { Files } from './files.ts'
import { CallFailure, json, resultOf, success } from './result.ts'
import { beginningOf, isText, readLines, sizeOfFile } from './text-file.ts'

const category = 'filesystem'
/** A little less than a result may hold, so that nothing of it is left out. */
const maxLines = 1990
const maxBytes = 49 * 1024
const maxImageBytes = 5 * 1024 * 1024
const maxPaths = 50
const maxImages = 4

/** The first bytes of the images that models can look at. */
const imageTypes: readonly (readonly [string, RegExp])[] = [
  ['image/png', /^\x89PNG\r\n/],
  ['image/jpeg', /^\xff\xd8\xff/],
  ['image/gif', /^GIF8[79]a/],
  ['image/webp', /^RIFF.{4}WEBP/s],
]

export function readingTools(files: Files): readonly BuiltInTool[] {
  return [
    builtInTool({
      name: 'read_file',
      category,
      description: 'Reads a text file, or a part of it, or looks at an image (PNG, JPEG, GIF or WebP).',
      args: z.strictObject({
        path: z.string().describe('The file'),
        line: z.number().int().min(1).optional().describe('The line to begin with, from 1'),
        limit: z.number().int().min(1).optional().describe('How many lines to read'),
      }),
      annotations: readOnly('Read a file'),
      run: ({ path, line = 1, limit = Number.POSITIVE_INFINITY }, { signal }) =>
        read(files.at(path), { line, limit }, signal),
    }),
    builtInTool({
      name: 'read_multiple_files',
      category,
      description: 'Reads several files at once.',
      args: z.strictObject({
        paths: z.array(z.string()).min(1).max(maxPaths).describe('The files'),
        json: z.boolean().optional().describe('Whether the result is to be JSON'),
      }),
      annotations: readOnly('Read several files'),
      run: ({ paths, json }, { signal }) => readAll(files, paths, json ?? false, signal),
    }),
  ]
}

interface Part {
  readonly line: number
  readonly limit: number
}

async function read(path: string, { line, limit }: Part, signal: AbortSignal): Promise<ToolCallResult> {
  const size = await sizeOfFile(path)
  const beginning = await beginningOf(path, 8192)
  const head = beginning.toString('latin1')
  const image = imageTypes.find(([, magic]) => magic.test(head))
  if (image !== undefined) return await readImage(path, image[0], size, signal)
  if (!isText(beginning)) throw new CallFailure(`${path} is a binary file of ${size} bytes.`)
  const window = { line, maxLines: Math.min(limit, maxLines), maxBytes }
  const { text, first, last, next, cut } = await readLines(path, window, signal)
  if (text === '' && line > 1) throw new CallFailure(`${path} has fewer than ${line} lines.`)
  if (cut)
    return success(`${text}\n\n[Only the beginning of line ${first}, which is too long; read on with line ${next}]`)
  // Who asked for so many lines got them.
  const told = next === undefined || next - line >= limit
  return success(told ? text : `${text}\n\n[Lines ${first} to ${last}; read on with line ${next}]`)
}

async function readImage(path: string, mimeType: string, size: number, signal: AbortSignal): Promise<ToolCallResult> {
  if (size > maxImageBytes)
    throw new CallFailure(`${path} is an image of ${size} bytes, which is too large to look at.`)
  const data = await readFile(path, { encoding: 'base64', signal })
  return { output: `${path} is an image (${mimeType}, ${size} bytes).`, images: [{ data, mimeType }] }
}

type Found = { readonly path: string } & ToolCallResult

async function readAll(
  files: Files,
  paths: readonly string[],
  asJson: boolean,
  signal: AbortSignal,
): Promise<ToolCallResult> {
  const found: Found[] = []
  for (const path of paths) found.push(withoutImage({ path, ...(await tryRead(files, path, signal)) }, found))
  const images = imagesIn(found)
  const rest = {
    ...(images.length > 0 && { images }),
    ...(found.every(({ isError }) => isError) && { isError: true }),
  }
  const told = found.map(({ path, output, isError }) => (isError ? { path, error: output } : { path, content: output }))
  const text = found.map(({ path, output, isError }) => `=== ${path} ===\n${isError ? `Error: ${output}` : output}`)
  return { ...(asJson ? json(told) : success(text.join('\n\n'))), ...rest }
}

/** Of many images only the first are shown. */
function withoutImage(result: Found, before: readonly Found[]): Found {
  if (result.images === undefined || imagesIn(before).length < maxImages) return result
  return { path: result.path, isError: true, output: `More than ${maxImages} images; read this one by itself.` }
}

function imagesIn(found: readonly Found[]) {
  return found.flatMap(({ images }) => images ?? [])
}

async function tryRead(files: Files, path: string, signal: AbortSignal): Promise<ToolCallResult> {
  try {
    return await read(files.at(path), { line: 1, limit: Number.POSITIVE_INFINITY }, signal)
  } catch (error) {
    signal.throwIfAborted()
    const result = resultOf(error)
    if (result === undefined) throw error
    return result
  }
}
