-- Texts that are replaced in many transcripts, one row each, with how far it is.
CREATE TABLE replacements (
    id TEXT NOT NULL PRIMARY KEY,
    -- The one that this one undoes.
    undoes TEXT,
    -- JSON: what is looked for, and where. NULL once it has ended: what people look for may be private.
    asked TEXT,
    made_at BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    -- Transcripts that may have such a place; those looked at, up to and with this place in the search index; those
    -- corrected, and the places in them.
    total BIGINT NOT NULL,
    looked_at BIGINT NOT NULL DEFAULT 0,
    after_place BIGINT,
    transcripts BIGINT NOT NULL DEFAULT 0,
    places BIGINT NOT NULL DEFAULT 0,
    is_done BIGINT NOT NULL DEFAULT 0,
    reason TEXT
);
-- The replacement that a correction is part of.
ALTER TABLE corrections ADD COLUMN replacement TEXT;
CREATE INDEX corrections_of_replacement ON corrections (replacement, transcript) WHERE replacement IS NOT NULL;
