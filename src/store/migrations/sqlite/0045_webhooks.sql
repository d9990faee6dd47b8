-- Who receives webhooks.
CREATE TABLE receivers (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    url TEXT NOT NULL,
    -- What deliveries are signed with, and until a time also what they were signed with before.
    secret TEXT NOT NULL,
    old_secret TEXT,
    old_until INTEGER,
    -- 'setting' or 'page'.
    source TEXT NOT NULL,
    -- 'enabled', 'paused', 'disabled' or 'removed', and why.
    state TEXT NOT NULL,
    reason TEXT,
    -- What it last answered, and when.
    answer TEXT,
    answered_at INTEGER,
    made_at INTEGER NOT NULL,
    made_by TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX receivers_by_url ON receivers (url) WHERE state <> 'removed';
-- What is sent to each receiver, in the order in which it happened. A row is inserted by the transaction that commits what it
-- reports.
CREATE TABLE deliveries (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    -- By which a receiver recognizes what it has received before.
    id TEXT NOT NULL UNIQUE,
    receiver INTEGER NOT NULL REFERENCES receivers (number),
    -- What a receiver gets of the same item comes in order: a call id, or the order id of a transcript without a call.
    item TEXT NOT NULL,
    -- Such as 'transcript.completed'.
    event TEXT NOT NULL,
    call_id TEXT,
    call_sid TEXT,
    call_kind TEXT,
    recording_sid TEXT,
    transcript_id TEXT,
    -- The state that the call, the recording or the transcript came to, and why.
    outcome TEXT NOT NULL,
    reason TEXT,
    -- Of a transcript.
    version INTEGER,
    is_checked INTEGER,
    happened_at INTEGER NOT NULL,
    -- 'waiting', 'delivered' or 'failed'.
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    -- When it is sent. While it is being sent, when it is sent again if nothing more is heard of that.
    due_at INTEGER NOT NULL,
    -- What the receiver last answered: the HTTP status and the beginning of the body, or without a status why there is no answer.
    answered_at INTEGER,
    status INTEGER,
    answer TEXT
) STRICT;
CREATE INDEX deliveries_due ON deliveries (receiver, due_at) WHERE state = 'waiting';
CREATE INDEX deliveries_of_item ON deliveries (receiver, item, number) WHERE state = 'waiting';
CREATE INDEX deliveries_of_receiver ON deliveries (receiver, number);
CREATE INDEX deliveries_by_state ON deliveries (state, number);
CREATE INDEX deliveries_ended ON deliveries (answered_at) WHERE state <> 'waiting';
CREATE INDEX deliveries_of_call ON deliveries (call_id);
