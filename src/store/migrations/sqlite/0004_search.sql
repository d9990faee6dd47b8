-- What is searched: the newest finished transcript of each recording, or of each audio that is elsewhere.
CREATE TABLE spoken (
    -- Orders by time: all but the lowest 16 bits are the milliseconds of the call.
    place INTEGER NOT NULL PRIMARY KEY,
    transcript TEXT NOT NULL UNIQUE REFERENCES transcripts (id) ON DELETE CASCADE,
    source TEXT NOT NULL UNIQUE
) STRICT;

-- The terms of each, folded and parted by spaces before they come here.
CREATE VIRTUAL TABLE spoken_text USING fts5 (
    words, content = '', contentless_delete = 1, tokenize = 'ascii', prefix = '1 2 3'
);
CREATE TRIGGER spoken_text_goes_with_it AFTER DELETE ON spoken
    BEGIN DELETE FROM spoken_text WHERE rowid = old.place; END;

-- What was there before: the program takes it into the index when it opens the store.
CREATE TABLE unsearched (
    transcript TEXT NOT NULL PRIMARY KEY REFERENCES transcripts (id) ON DELETE CASCADE
) STRICT;
INSERT INTO unsearched (transcript) SELECT id FROM transcripts WHERE state = 'completed';

CREATE INDEX calls_of_state ON calls (state, created_at, id);
