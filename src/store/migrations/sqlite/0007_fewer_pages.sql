-- Each index is a page more of every commit.

-- What is dialled once more is looked for by how its number ends, like everything else.
DROP INDEX calls_dialled_number;

-- Without AUTOINCREMENT, which keeps the last number in a table of its own: rows are never deleted, so that one more than the
-- highest number is one that no row had.
CREATE TABLE renumbered (
    number INTEGER PRIMARY KEY,
    call_id TEXT,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL,
    rank INTEGER NOT NULL,
    round INTEGER NOT NULL,
    reason TEXT,
    at INTEGER NOT NULL
) STRICT;
INSERT INTO renumbered (number, call_id, kind, subject, state, rank, round, reason, at)
    SELECT number, call_id, kind, subject, state, rank, round, reason, at FROM history ORDER BY number;
DROP TABLE history;
ALTER TABLE renumbered RENAME TO history;
-- A step is looked for by its call; one that names none, by what it is about.
CREATE INDEX history_of_call ON history (call_id) WHERE call_id IS NOT NULL;
CREATE INDEX history_of_subject ON history (subject) WHERE call_id IS NULL;
CREATE TRIGGER history_is_append_only_update BEFORE UPDATE ON history
    WHEN new.reason IS NOT NULL OR new.number IS NOT old.number OR new.call_id IS NOT old.call_id
        OR new.kind IS NOT old.kind OR new.subject IS NOT old.subject OR new.state IS NOT old.state
        OR new.rank IS NOT old.rank OR new.round IS NOT old.round OR new.at IS NOT old.at
    BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
CREATE TRIGGER history_is_append_only_delete BEFORE DELETE ON history
    BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
