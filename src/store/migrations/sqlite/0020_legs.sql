-- The legs that calls have dialed. The call's own leg is the row of the call.
CREATE TABLE legs (
    sid TEXT NOT NULL PRIMARY KEY,
    call_id TEXT NOT NULL REFERENCES calls (id),
    role TEXT NOT NULL,
    number TEXT,
    state TEXT NOT NULL,
    rank INTEGER NOT NULL,
    -- 1 if it was ever connected with the call, 0 if not, NULL if that is not known.
    bridged INTEGER,
    answered_at INTEGER,
    ended_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX legs_of_call ON legs (call_id);

ALTER TABLE calls ADD COLUMN kind TEXT NOT NULL DEFAULT 'message';
-- The operator's phone of a conversation that was dialed here, which rings first. Each phone is in one conversation at a time.
ALTER TABLE calls ADD COLUMN operator_number TEXT;
CREATE UNIQUE INDEX calls_active_operator ON calls (operator_number) WHERE holds_number = 1 AND operator_number IS NOT NULL;
-- A conversation counts twice where dialed calls are counted.
CREATE INDEX calls_dialed_conversations ON calls (dialled_at) WHERE operator_number IS NOT NULL;
