import type { Migration } from './migrations.ts'

const lastSeq = `max(
  coalesce((SELECT last FROM event_places WHERE session = s.num ORDER BY first DESC LIMIT 1), 0),
  coalesce((SELECT loose.last FROM loose WHERE loose.session = s.num), 0))`

/** A record that is no JSON says nothing. */
const told = "iif(json_valid(s.record), s.record, '{}')"

/**
 * What is told over all sessions. Each session has its newest state beside it, so that a list needs to read no log, and
 * so that its deletion can be told by whoever deletes it: the trigger, for all below it too. Seqs are never used again
 * (AUTOINCREMENT).
 *
 * What belongs to a deleted session is removed bit by bit, but not what is looked for over all sessions: that goes at once.
 * `marks.thinned` is the last row of events that retention has looked through for pieces.
 */
export const fleet: Migration = {
  name: 'what is told over all sessions, and deletion in small steps',
  sql: `
    ALTER TABLE sessions ADD COLUMN fleet TEXT;
    CREATE TABLE fleet_events (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      session INTEGER NOT NULL,
      at INTEGER NOT NULL,
      text TEXT NOT NULL
    );

    WITH RECURSIVE
      loose AS MATERIALIZED (
        SELECT session, max(last) AS last FROM events
        WHERE id > (SELECT value FROM marks WHERE name = 'placed') GROUP BY session
      ),
      tree (num, id, above) AS (
        SELECT num, id, NULL FROM sessions WHERE parent_id IS NULL
        UNION ALL
        SELECT s.num, s.id, json_insert(coalesce(tree.above, '[]'), '$[#]', tree.id)
        FROM sessions s JOIN tree ON s.parent_id = tree.id
      )
    UPDATE sessions AS s SET fleet = json_patch('{}', json_object(
        'id', s.id,
        'title', s.title,
        'created_at', ${told} ->> 'created_at',
        'updated_at', ${told} ->> 'created_at',
        'parent_id', s.parent_id,
        'above', json(tree.above),
        'agent', s.agent,
        'starred', json(iif(s.starred, 'true', 'false')),
        'status', iif(${told} -> 'paused' IS NULL, 'idle', 'paused'),
        'open_requests', json('[]'),
        'input_tokens', ${told} -> 'input_tokens',
        'output_tokens', ${told} -> 'output_tokens',
        'cost', ${told} -> 'cost',
        'last_event_seq', ${lastSeq}))
      FROM tree WHERE tree.num = s.num;

    INSERT INTO marks VALUES ('thinned', 0);

    CREATE TRIGGER sessions_deleted AFTER DELETE ON sessions WHEN old.fleet IS NOT NULL BEGIN
      INSERT INTO fleet_events (session, at, text) VALUES (old.num, unixepoch('subsec') * 1000, json_object(
        'type', 'session_deleted',
        'timestamp', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'),
        'session', json(old.fleet)));
    END;

    CREATE TRIGGER sessions_closed AFTER DELETE ON sessions BEGIN
      DELETE FROM runs WHERE session = old.num AND status = 'running';
      DELETE FROM requests WHERE session = old.num AND state = 'open';
      DELETE FROM inputs WHERE session = old.num AND state = 'queued';
    END;
  `,
}
