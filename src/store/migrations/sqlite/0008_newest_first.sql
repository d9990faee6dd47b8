-- Places fall as time goes on, so that the newest transcript comes first: FTS5 passes over what is newer than a day page by
-- page, and backwards each step begins at the first page again. The program takes everything in again when it opens the store.
INSERT INTO unsearched (transcript) SELECT transcript FROM spoken WHERE true ON CONFLICT DO NOTHING;
DROP TABLE spoken_text;
DROP TABLE spoken;

-- What is searched: the newest finished transcript of each recording, or of each audio that is elsewhere.
CREATE TABLE spoken (
    -- Orders by time, the newest first. An older program that still runs is refused: its places rise, and are below 2^62.
    place INTEGER NOT NULL PRIMARY KEY CHECK (place >= 4611686018427387904),
    transcript TEXT NOT NULL UNIQUE REFERENCES transcripts (id) ON DELETE CASCADE,
    source TEXT NOT NULL UNIQUE,
    -- The terms of its call, as they are in the index: FTS5 must be told when they go.
    facts TEXT NOT NULL
) STRICT;

-- The terms of each and the facts of its call, parted by spaces before they come here.
CREATE VIRTUAL TABLE spoken_text USING fts5 (words, content = '', tokenize = 'ascii', prefix = '1 2 3');
-- What is deleted leaves no terms behind.
INSERT INTO spoken_text (spoken_text, rank) VALUES ('secure-delete', 1);

-- Nobody writes beside who dials, so nothing needs to be locked.
DROP TABLE IF EXISTS dialling;
