-- What is searched: the newest finished transcript of each recording, or of each audio that is elsewhere.
CREATE TABLE spoken (
    -- Orders by time: all but the lowest 16 bits are the milliseconds of the call.
    place INTEGER NOT NULL PRIMARY KEY,
    transcript TEXT NOT NULL UNIQUE REFERENCES transcripts (id) ON DELETE CASCADE,
    source TEXT NOT NULL UNIQUE
) STRICT;

-- The terms of each, folded and parted by spaces before they come here.
CREATE VIRTUAL TABLE spoken_text USING fts5 (words, content = '', tokenize = 'ascii', prefix = '1 2 3');
-- What is deleted leaves no terms behind.
INSERT INTO spoken_text (spoken_text, rank) VALUES ('secure-delete', 1);

-- What was there before: the program takes it into the index when it opens the store.
CREATE TABLE unsearched (
    transcript TEXT NOT NULL PRIMARY KEY REFERENCES transcripts (id) ON DELETE CASCADE
) STRICT;
INSERT INTO unsearched (transcript) SELECT id FROM transcripts WHERE state = 'completed';

CREATE INDEX calls_of_state ON calls (state, created_at, id);

-- Numbers are looked for by how they end.
CREATE INDEX calls_to_end ON calls (substr(to_number, -4), created_at, id);
CREATE INDEX calls_from_end ON calls (substr(from_number, -4), created_at, id);
