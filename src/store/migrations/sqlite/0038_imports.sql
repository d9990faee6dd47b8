-- Imports: the recordings that a Twilio account already has, transcribed here.
CREATE TABLE imports (
    id TEXT NOT NULL PRIMARY KEY,
    -- A checksum of what was asked for, so that the same request sent twice begins one.
    asked TEXT NOT NULL,
    -- Which recordings: when they were made, a number that their call is to or from, and their length.
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    number TEXT,
    min_seconds INTEGER,
    max_seconds INTEGER,
    -- 'listing', 'running', 'paused', 'done' or 'canceled', and why it was paused if nobody did that.
    state TEXT NOT NULL,
    reason TEXT,
    -- How far Twilio's list is read: how many pages, where the next one is, and whether that was the last.
    pages INTEGER NOT NULL DEFAULT 0,
    next_page TEXT,
    is_listed INTEGER NOT NULL DEFAULT 0,
    -- Since when it orders transcripts without a pause.
    running_since INTEGER,
    made_at INTEGER NOT NULL,
    made_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX imports_listed ON imports (made_at, id);
CREATE TABLE import_recordings (
    import TEXT NOT NULL REFERENCES imports (id),
    recording_sid TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    seconds INTEGER NOT NULL,
    -- 'waiting', 'ordered', 'done', 'failed' or 'skipped', and why.
    state TEXT NOT NULL,
    reason TEXT,
    order_id TEXT,
    ended_at INTEGER,
    PRIMARY KEY (import, recording_sid)
) STRICT, WITHOUT ROWID;
CREATE INDEX import_recordings_by_state ON import_recordings (import, state, made_at);
CREATE INDEX import_recordings_of_order ON import_recordings (order_id) WHERE order_id IS NOT NULL;
-- The import that has brought a call here.
ALTER TABLE calls ADD COLUMN import TEXT;
