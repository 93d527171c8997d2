import type Database from 'better-sqlite3'
import { openConnection } from './sqlite-connection.ts'

/** The connection that is the only one to write, with its prepared statements. */
export class WriterConnection {
  readonly db: Database.Database
  readonly #statements = new Map<string, Database.Statement<unknown[], unknown>>()

  constructor(path: string) {
    this.db = openConnection(path)
    // What belongs to a deleted session is removed in small steps, not in the commit that deletes it.
    this.db.pragma('foreign_keys = OFF')
  }

  transaction<T>(work: () => T): T {
    this.run('BEGIN IMMEDIATE')
    try {
      const result = work()
      this.run('COMMIT')
      return result
    } catch (error) {
      // Some failures end the transaction by themselves.
      if (this.db.inTransaction) this.run('ROLLBACK')
      throw error
    }
  }

  /** Runs a statement; answers how many rows it changed. */
  run(sql: string, ...values: unknown[]): number {
    return this.#prepare(sql).run(...values).changes
  }

  /** The first column of all rows, as numbers. */
  column(sql: string, ...values: unknown[]): readonly number[] {
    return this.#prepare(sql)
      .pluck()
      .all(...values)
      .map(Number)
  }

  #prepare(sql: string): Database.Statement<unknown[], unknown> {
    const statement = this.#statements.get(sql) ?? this.db.prepare<unknown[], unknown>(sql)
    this.#statements.set(sql, statement)
    return statement
  }
}
