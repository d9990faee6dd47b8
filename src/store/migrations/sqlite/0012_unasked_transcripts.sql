-- When a transcript was ordered that nobody asked for, of a call that was not dialed here; otherwise NULL. Dated in the future
-- by a clock that was ahead, it is redated as calls are.
ALTER TABLE transcripts ADD COLUMN unasked_at INTEGER;
CREATE INDEX transcripts_unasked ON transcripts (unasked_at) WHERE unasked_at IS NOT NULL;
CREATE INDEX transcripts_redated ON transcripts (created_at) WHERE unasked_at < created_at;
