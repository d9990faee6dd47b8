-- Which stretches of a transcript people have checked by ear, or no longer count as checked. Rows are added and never changed;
-- what is checked now follows from all of them.
CREATE TABLE checks (
    transcript TEXT NOT NULL REFERENCES transcripts (id),
    -- Counts from 1.
    number INTEGER NOT NULL,
    -- In milliseconds from the start of the audio.
    from_ms INTEGER NOT NULL,
    -- NULL is the end of the transcript.
    to_ms INTEGER,
    is_checked INTEGER NOT NULL,
    made_at INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    PRIMARY KEY (transcript, number)
) STRICT, WITHOUT ROWID;
-- When the last stretch was checked, and by whom, if all words are checked.
ALTER TABLE transcripts ADD COLUMN checked_at INTEGER;
ALTER TABLE transcripts ADD COLUMN checked_by TEXT;
-- The same of the transcripts that the call is listed by. Few calls are checked, so their index is small.
ALTER TABLE calls ADD COLUMN checked_at INTEGER;
CREATE INDEX calls_checked ON calls (created_at, id) WHERE checked_at IS NOT NULL;
