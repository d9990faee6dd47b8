-- Keys by which a request that costs something is recognized when it comes again.
CREATE TABLE idempotency_keys (
    -- The SHA-256 of the key, of who sends it and of what it is for.
    key TEXT PRIMARY KEY,
    -- The id of the call, order, trial or import that it was for.
    subject TEXT NOT NULL,
    -- What was asked for, or a hash of it.
    request TEXT NOT NULL,
    made_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_made ON idempotency_keys (made_at);
