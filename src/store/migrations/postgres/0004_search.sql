-- What is searched: the newest finished transcript of each recording, or of each audio that is elsewhere.
CREATE TABLE spoken (
    -- Orders by time: all but the lowest 16 bits are the milliseconds of the call.
    place BIGINT NOT NULL PRIMARY KEY,
    transcript TEXT NOT NULL UNIQUE REFERENCES transcripts (id) ON DELETE CASCADE,
    source TEXT NOT NULL UNIQUE
);

-- The terms of each, folded and parted by spaces before they come here: no text search configuration has a part in it.
-- Phrases are looked for in the words themselves, because a tsvector has no more than 256 positions of a term.
CREATE TABLE spoken_text (
    rowid BIGINT NOT NULL PRIMARY KEY REFERENCES spoken (place) ON DELETE CASCADE,
    words TEXT NOT NULL,
    terms TSVECTOR NOT NULL GENERATED ALWAYS AS (array_to_tsvector(string_to_array(btrim(words), ' '))) STORED
);
-- Without fastupdate: each search would read what has not been sorted in yet.
-- The rarest word that is known by how often it is said is rarer, and so is what is guessed of all that are not known.
ALTER TABLE spoken_text ALTER COLUMN terms SET STATISTICS 400;
CREATE INDEX spoken_terms ON spoken_text USING gin (terms) WITH (fastupdate = off);

-- What was there before: the program takes it into the index when it opens the store.
CREATE TABLE unsearched (
    transcript TEXT NOT NULL PRIMARY KEY REFERENCES transcripts (id) ON DELETE CASCADE
);
INSERT INTO unsearched (transcript) SELECT id FROM transcripts WHERE state = 'completed';

CREATE INDEX calls_of_state ON calls (state, created_at, id);

-- Numbers are looked for by how they end.
CREATE INDEX calls_to_end ON calls (right(to_number, 4), created_at, id);
CREATE INDEX calls_from_end ON calls (right(from_number, 4), created_at, id);
