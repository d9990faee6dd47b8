-- What people corrected in transcripts, one step a row. Rows are added and never changed; the words that AssemblyAI heard stay
-- as they are, and the words of a transcript follow from both.
CREATE TABLE corrections (
    transcript TEXT NOT NULL REFERENCES transcripts (id),
    -- The version that it made; the first is 1.
    version BIGINT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    made_at BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    -- JSON: which words it hides and shows.
    spans TEXT NOT NULL,
    PRIMARY KEY (transcript, version)
);
-- The newest of them.
ALTER TABLE transcripts ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
