-- Tokens with which programs may do some of what the operator may.
CREATE TABLE tokens (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT NOT NULL,
    -- Such as 'read edit', in this order.
    rights TEXT NOT NULL,
    -- The SHA-256 of the token, in hex.
    hash TEXT NOT NULL UNIQUE,
    made_at BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    -- When it was last used, to within a minute.
    used_at BIGINT,
    revoked_at BIGINT
);
CREATE UNIQUE INDEX tokens_by_name ON tokens (name) WHERE revoked_at IS NULL;
-- Who asked for what the row says, if somebody did.
ALTER TABLE history ADD COLUMN made_by TEXT;
