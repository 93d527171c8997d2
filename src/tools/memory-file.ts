import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { ulid } from 'ulid'
import { z } from 'zod'
import { makeFolders } from './folders.ts'

export const Memory = z.object({
  id: z.string(),
  created_at: z
    .string()
    .nullish()
    .transform((time) => time ?? ''),
  memory: z.string(),
  category: z
    .string()
    .nullish()
    .transform((category) => category || undefined),
})
export type Memory = z.infer<typeof Memory>

/** Memories in a SQLite file, which several sessions and processes may have open. */
export class MemoryFile {
  readonly #db: Database.Database

  /** Makes the file and its folder where there is none. Throws what the system or the driver throws. */
  constructor(path: string) {
    makeFolders(dirname(path))
    this.#db = new Database(path, { timeout: 1000 })
    try {
      this.#prepare()
    } catch (error) {
      this.#db.close()
      throw error
    }
  }

  add(memory: string, category: string | undefined): Memory {
    const added = { id: ulid(), created_at: new Date().toISOString(), memory, category }
    const insert = 'INSERT INTO memories (id, created_at, memory, category) VALUES (?, ?, ?, ?)'
    this.#db.prepare(insert).run(added.id, added.created_at, memory, category ?? null)
    return added
  }

  all(): readonly Memory[] {
    return this.#read('SELECT id, created_at, memory, category FROM memories ORDER BY created_at, id')
  }

  /** Those that hold every word, of the category if one is said; neither minds upper and lower case. */
  search(words: readonly string[], category: string | undefined): readonly Memory[] {
    const wanted = words.map((word) => word.toLowerCase())
    const kind = category?.toLowerCase()
    return this.all().filter((found) => {
      const text = found.memory.toLowerCase()
      return wanted.every((word) => text.includes(word)) && (!kind || found.category?.toLowerCase() === kind)
    })
  }

  /** A category that is not said stays as it is. Whether there is such a memory. */
  update(id: string, memory: string, category: string | undefined): boolean {
    const update = 'UPDATE memories SET memory = ?, category = coalesce(?, category) WHERE id = ?'
    return this.#db.prepare(update).run(memory, category ?? null, id).changes > 0
  }

  /** Whether there was such a memory. */
  delete(id: string): boolean {
    return this.#db.prepare('DELETE FROM memories WHERE id = ?').run(id).changes > 0
  }

  close(): void {
    this.#db.close()
  }

  /** The ancestor's table: its files are read as they are, also those from before there were categories. */
  #prepare(): void {
    this.#db.pragma('journal_mode = WAL')
    this.#db.exec(
      'CREATE TABLE IF NOT EXISTS memories (id TEXT PRIMARY KEY, created_at TEXT, memory TEXT, category TEXT)',
    )
    const known = this.#db.prepare("SELECT 1 FROM pragma_table_info('memories') WHERE name = 'category'").get()
    if (known === undefined) this.#db.exec('ALTER TABLE memories ADD COLUMN category TEXT')
  }

  #read(query: string): readonly Memory[] {
    return z.array(Memory).parse(this.#db.prepare(query).all())
  }
}
