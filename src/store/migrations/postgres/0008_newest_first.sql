-- Places fall as time goes on, so that the newest transcript comes first, as in the index of words of SQLite. The program
-- takes everything in again when it opens the store.
INSERT INTO unsearched (transcript) SELECT transcript FROM spoken ON CONFLICT DO NOTHING;
TRUNCATE spoken_text, spoken;

-- An older program that still runs is refused: its places rise, and are below 2^62.
ALTER TABLE spoken ADD CHECK (place >= 4611686018427387904);
