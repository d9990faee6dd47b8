-- The index knows what is known of each call, too, and is made anew: the program takes everything in again when it opens the
-- store.
INSERT INTO unsearched (transcript) SELECT transcript FROM spoken ON CONFLICT DO NOTHING;
TRUNCATE spoken_text, spoken;

-- The terms of its call, as they are among the words.
ALTER TABLE spoken ADD COLUMN facts TEXT NOT NULL;

-- The first fact among the words is the state. Those of a state are in the order of time here, so that the newest with a
-- frequent word are found without all that there ever were.
ALTER TABLE spoken_text ADD COLUMN state TEXT NOT NULL
    GENERATED ALWAYS AS (replace(btrim(split_part(words, ' §', 2)), '§', '-')) STORED;
CREATE INDEX spoken_of_state ON spoken_text (state, rowid);
