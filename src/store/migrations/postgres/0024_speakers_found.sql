-- The terms of a speaker's name as search folds them. The program fills in those of older names when it opens the store.
ALTER TABLE speakers ADD COLUMN folded_name TEXT;
CREATE INDEX speakers_unfolded ON speakers (call_id) WHERE folded_name IS NULL;
-- The index has the id of each call, too, by which a search for such a name finds it. The program indexes all transcripts
-- again when it opens the store.
INSERT INTO unsearched (transcript) SELECT transcript FROM spoken ON CONFLICT DO NOTHING;
TRUNCATE spoken_text, spoken;
