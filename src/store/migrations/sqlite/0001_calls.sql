-- Times are milliseconds since 1970, JSON is text, states are the words of the model and their ranks.

CREATE TABLE calls (
    id TEXT NOT NULL PRIMARY KEY,
    sid TEXT UNIQUE,
    direction TEXT NOT NULL,
    to_number TEXT,
    from_number TEXT,
    keyterms TEXT NOT NULL,
    state TEXT NOT NULL,
    rank INTEGER NOT NULL,
    -- 1 while no second call may be placed to the number. Never becomes 1 again.
    holds_number INTEGER NOT NULL,
    reason TEXT,
    code INTEGER,
    created_at INTEGER NOT NULL,
    ended_at INTEGER,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX calls_active_number ON calls (to_number) WHERE holds_number = 1;
CREATE INDEX calls_newest ON calls (created_at, id);

CREATE TABLE recordings (
    sid TEXT NOT NULL PRIMARY KEY,
    call_id TEXT NOT NULL REFERENCES calls (id),
    state TEXT NOT NULL,
    rank INTEGER NOT NULL,
    duration_seconds INTEGER,
    channels INTEGER,
    source TEXT,
    error_code INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX recordings_of_call ON recordings (call_id, created_at);

CREATE TABLE transcripts (
    id TEXT NOT NULL PRIMARY KEY,
    transcript_id TEXT UNIQUE,
    recording_sid TEXT,
    audio TEXT NOT NULL,
    parameters TEXT NOT NULL,
    -- What the same request is known by. NULL once another transcript has taken its place.
    request_key TEXT UNIQUE,
    audio_url TEXT,
    asked_at INTEGER,
    state TEXT NOT NULL,
    rank INTEGER NOT NULL,
    round INTEGER NOT NULL,
    reason TEXT,
    json BLOB,
    text TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX transcripts_of_recording ON transcripts (recording_sid, created_at);

CREATE TABLE words (
    transcript TEXT NOT NULL REFERENCES transcripts (id),
    position INTEGER NOT NULL,
    word TEXT NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    confidence REAL NOT NULL,
    speaker TEXT,
    channel TEXT,
    PRIMARY KEY (transcript, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    -- 1 if it became due while it was being run.
    nudged INTEGER NOT NULL,
    owner TEXT,
    lease_until INTEGER,
    -- Counts claims: what an earlier claim wants to write back is refused.
    attempt INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    looks INTEGER NOT NULL,
    reason TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_due ON jobs (due_at) WHERE state = 'open';

CREATE TABLE history (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    call_id TEXT,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL,
    rank INTEGER NOT NULL,
    round INTEGER NOT NULL,
    reason TEXT,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX history_of_call ON history (call_id, number);
CREATE INDEX history_of_subject ON history (subject, number);
CREATE TRIGGER history_is_append_only_update BEFORE UPDATE ON history
    BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
CREATE TRIGGER history_is_append_only_delete BEFORE DELETE ON history
    BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
