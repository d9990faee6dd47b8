-- The order of the last transcript in which a replacement was undone. A count of them misses one when another is deleted.
ALTER TABLE replacements ADD COLUMN after_transcript TEXT;
-- What is being undone begins again: each transcript is one step, which is taken once.
UPDATE replacements SET looked_at = 0 WHERE undoes IS NOT NULL AND is_done = 0;
