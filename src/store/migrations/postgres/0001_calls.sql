-- Times are milliseconds since 1970, JSON is text, states are the words of the model and their ranks.

CREATE TABLE calls (
    id TEXT NOT NULL PRIMARY KEY,
    sid TEXT UNIQUE,
    direction TEXT NOT NULL,
    to_number TEXT,
    from_number TEXT,
    keyterms TEXT NOT NULL,
    state TEXT NOT NULL,
    rank BIGINT NOT NULL,
    -- 1 while no second call may be placed to the number. Never becomes 1 again.
    holds_number BIGINT NOT NULL,
    reason TEXT,
    code BIGINT,
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX calls_active_number ON calls (to_number) WHERE holds_number = 1;
CREATE INDEX calls_newest ON calls (created_at, id);

CREATE TABLE recordings (
    sid TEXT NOT NULL PRIMARY KEY,
    call_id TEXT NOT NULL REFERENCES calls (id),
    state TEXT NOT NULL,
    rank BIGINT NOT NULL,
    duration_seconds BIGINT,
    channels BIGINT,
    source TEXT,
    error_code BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
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
    asked_at BIGINT,
    state TEXT NOT NULL,
    rank BIGINT NOT NULL,
    round BIGINT NOT NULL,
    reason TEXT,
    json BYTEA,
    text TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX transcripts_of_recording ON transcripts (recording_sid, created_at);

CREATE TABLE words (
    transcript TEXT NOT NULL REFERENCES transcripts (id),
    position BIGINT NOT NULL,
    word TEXT NOT NULL,
    start_ms BIGINT NOT NULL,
    end_ms BIGINT NOT NULL,
    confidence DOUBLE PRECISION NOT NULL,
    speaker TEXT,
    channel TEXT,
    PRIMARY KEY (transcript, position)
);

CREATE TABLE jobs (
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    -- 1 if it became due while it was being run.
    nudged BIGINT NOT NULL,
    owner TEXT,
    lease_until BIGINT,
    -- Counts claims: what an earlier claim wants to write back is refused.
    attempt BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    looks BIGINT NOT NULL,
    reason TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (kind, subject)
);
CREATE INDEX jobs_due ON jobs (due_at) WHERE state = 'open';

CREATE TABLE history (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    call_id TEXT,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL,
    rank BIGINT NOT NULL,
    round BIGINT NOT NULL,
    reason TEXT,
    at BIGINT NOT NULL
);
CREATE INDEX history_of_call ON history (call_id, number);
CREATE INDEX history_of_subject ON history (subject, number);
CREATE FUNCTION history_is_append_only() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'history is append-only'; END $$;
CREATE TRIGGER history_is_append_only BEFORE UPDATE OR DELETE ON history
    FOR EACH ROW EXECUTE FUNCTION history_is_append_only();
