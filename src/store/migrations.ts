import type Database from 'better-sqlite3'
import { fleet } from './fleet-migration.ts'
import { StoreError } from './store.ts'

/** One step of the schema. Its number is its place in the list, from 1; a step that was released is never edited, unless it fails where it must not. */
export interface Migration {
  readonly name: string
  readonly sql: string
}

/**
 * Sessions have a small number beside their id, which all other tables use; it is never reused, so the events of a
 * deleted session can be removed at leisure (`dropped`).
 *
 * Events are appended in the order of commits, and found through `event_places`. That is filled in bulk: one entry
 * per appended row would dirty a page per session and commit. Small rows of a session become one row before they get
 * their place. `marks.placed` is the last row that has a place; readers scan the few rows after it.
 */
const first: Migration = {
  name: 'sessions, their items, runs, inputs, requests and events, and idempotency keys',
  sql: `
    CREATE TABLE sessions (
      num INTEGER PRIMARY KEY AUTOINCREMENT,
      id TEXT NOT NULL UNIQUE,
      created INTEGER NOT NULL,
      title TEXT NOT NULL,
      folded_title TEXT NOT NULL,
      starred INTEGER NOT NULL,
      agent TEXT,
      parent_id TEXT,
      record TEXT NOT NULL
    );
    CREATE INDEX sessions_listed ON sessions (created, id) WHERE parent_id IS NULL;
    CREATE INDEX sessions_title ON sessions (title);

    CREATE TABLE items (
      num INTEGER PRIMARY KEY,
      session INTEGER NOT NULL REFERENCES sessions ON DELETE CASCADE,
      position INTEGER NOT NULL,
      id TEXT NOT NULL,
      body TEXT NOT NULL
    );
    CREATE UNIQUE INDEX items_position ON items (session, position);

    CREATE TABLE runs (
      num INTEGER PRIMARY KEY,
      session INTEGER NOT NULL REFERENCES sessions ON DELETE CASCADE,
      id TEXT NOT NULL,
      first_seq INTEGER NOT NULL,
      status TEXT NOT NULL,
      record TEXT NOT NULL
    );
    CREATE UNIQUE INDEX runs_id ON runs (session, id);
    CREATE INDEX runs_listed ON runs (session, first_seq, id);
    CREATE INDEX runs_running ON runs (num) WHERE status = 'running';

    CREATE TABLE inputs (
      num INTEGER PRIMARY KEY,
      session INTEGER NOT NULL REFERENCES sessions ON DELETE CASCADE,
      id TEXT NOT NULL,
      state TEXT NOT NULL,
      record TEXT NOT NULL
    );
    CREATE UNIQUE INDEX inputs_id ON inputs (session, id);
    CREATE INDEX inputs_queued ON inputs (session, num) WHERE state = 'queued';

    CREATE TABLE requests (
      num INTEGER PRIMARY KEY,
      session INTEGER NOT NULL REFERENCES sessions ON DELETE CASCADE,
      id TEXT NOT NULL,
      state TEXT NOT NULL,
      record TEXT NOT NULL
    );
    CREATE UNIQUE INDEX requests_id ON requests (session, id);
    CREATE INDEX requests_open ON requests (session, num) WHERE state = 'open';

    CREATE TABLE idempotency_keys (
      num INTEGER PRIMARY KEY,
      scope TEXT NOT NULL,
      key TEXT NOT NULL,
      created INTEGER NOT NULL,
      record TEXT NOT NULL
    );
    CREATE UNIQUE INDEX idempotency_keys_key ON idempotency_keys (scope, key);

    CREATE TABLE events (
      id INTEGER PRIMARY KEY,
      session INTEGER NOT NULL,
      first INTEGER NOT NULL,
      last INTEGER NOT NULL,
      at INTEGER NOT NULL,
      text TEXT NOT NULL
    );
    CREATE TABLE event_places (
      session INTEGER NOT NULL,
      first INTEGER NOT NULL,
      last INTEGER NOT NULL,
      size INTEGER NOT NULL,
      id INTEGER NOT NULL,
      PRIMARY KEY (session, first)
    ) WITHOUT ROWID;
    CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO marks VALUES ('placed', 0), ('probe', 0);

    CREATE TABLE dropped (session INTEGER PRIMARY KEY);
    CREATE TRIGGER sessions_dropped AFTER DELETE ON sessions BEGIN
      INSERT INTO dropped VALUES (old.num);
    END;
  `,
}

const second: Migration = {
  name: 'an index of the sessions below a session',
  sql: 'CREATE INDEX sessions_parent ON sessions (parent_id, created, id) WHERE parent_id IS NOT NULL',
}

const third: Migration = {
  name: 'an index of the requests of all sessions',
  sql: `
    ALTER TABLE requests ADD COLUMN created INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE requests ADD COLUMN kind TEXT NOT NULL DEFAULT '';
    UPDATE requests SET kind = coalesce(json_extract(record, '$.content.kind'), ''), created = coalesce(
      CAST(round(unixepoch(json_extract(record, '$.created_at'), 'subsec') * 1000) AS INTEGER), 0) WHERE json_valid(record);
    CREATE INDEX requests_listed ON requests (created, id);
    CREATE INDEX requests_inbox ON requests (created, id) WHERE state = 'open';
  `,
}

/** Who waits has a place in the queue, and may be held. */
const places: Migration = {
  name: 'places of inputs, and an index of those that wait',
  sql: `
    UPDATE inputs SET record = json_set(record, '$.place', num) WHERE json_valid(record);
    DROP INDEX inputs_queued;
    CREATE INDEX inputs_waiting ON inputs (session, num) WHERE state IN ('queued', 'held');
    CREATE INDEX inputs_listed ON inputs (session, num);
  `,
}

/** What was told of it is shown again when it is deleted, and may be damaged by then. */
const damagedDeletion: Migration = {
  name: 'deletion of sessions whose place in the fleet is damaged',
  sql: `
    DROP TRIGGER sessions_deleted;
    CREATE TRIGGER sessions_deleted AFTER DELETE ON sessions WHEN old.fleet IS NOT NULL BEGIN
      INSERT INTO fleet_events (session, at, text) VALUES (old.num, unixepoch('subsec') * 1000, json_object(
        'type', 'session_deleted',
        'timestamp', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'),
        'session', json(iif(json_valid(old.fleet), old.fleet, json_patch('{}', json_object(
          'id', old.id,
          'title', old.title,
          'created_at', strftime('%Y-%m-%dT%H:%M:%fZ', old.created / 1000.0, 'unixepoch'),
          'updated_at', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'),
          'parent_id', old.parent_id,
          'agent', old.agent,
          'starred', json(iif(old.starred, 'true', 'false')),
          'status', 'idle',
          'open_requests', json('[]'),
          'input_tokens', 0, 'output_tokens', 0, 'cost', 0, 'last_event_seq', 0))))));
    END;
  `,
}

export const migrations: readonly Migration[] = [first, second, third, fleet, places, damagedDeletion]

/**
 * Brings a file to the newest version, in one transaction: when a step fails, none has happened. `user_version` is the
 * number of the last step. Throws {@link StoreError} `migration_failed`.
 */
export function migrate(db: Database.Database, applicationId: number, list: readonly Migration[] = migrations): void {
  const version = Number(db.pragma('user_version', { simple: true }))
  if (version >= list.length) return
  db.exec('BEGIN IMMEDIATE')
  let step = version
  try {
    for (const { sql } of list.slice(version)) {
      step += 1
      db.exec(sql)
    }
    db.pragma(`application_id = ${applicationId}`)
    db.pragma(`user_version = ${list.length}`)
    db.exec('COMMIT')
  } catch (error) {
    if (db.inTransaction) db.exec('ROLLBACK')
    const message = `step ${step} of the database's migration failed; the file is as it was`
    throw new StoreError('migration_failed', message, error)
  }
}
