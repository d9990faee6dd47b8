-- When a transcript was ordered that nobody asked for, of a call that was not dialed here; otherwise NULL. Dated in the future
-- by a clock that was ahead, it is redated as calls are.
ALTER TABLE transcripts ADD COLUMN unasked_at BIGINT;
CREATE INDEX transcripts_unasked ON transcripts (unasked_at) WHERE unasked_at IS NOT NULL;
CREATE INDEX transcripts_redated ON transcripts (created_at) WHERE unasked_at < created_at;

-- Its one row is written by whichever instance is about to order such a transcript, so that no two count them at the same
-- time.
CREATE TABLE transcribing (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    at BIGINT NOT NULL
);
INSERT INTO transcribing (only_row, at) VALUES (1, 0);
