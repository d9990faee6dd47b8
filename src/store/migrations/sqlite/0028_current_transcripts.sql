-- When somebody made it the current transcript of its recording, or corrected it as such. Otherwise the newest is.
ALTER TABLE transcripts ADD COLUMN chosen_at INTEGER;
