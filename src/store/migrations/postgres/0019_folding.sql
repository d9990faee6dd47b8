-- Words are folded in another way. The program indexes all transcripts again when it opens the store. The column has a new
-- name, so that an older program that still runs is refused when it writes: its terms would not be found.
INSERT INTO unsearched (transcript) SELECT transcript FROM spoken ON CONFLICT DO NOTHING;
TRUNCATE spoken_text, spoken;
ALTER TABLE spoken_text RENAME COLUMN words TO said;
