-- 1 if the two channels of the audio differ, 0 if they are the same, NULL if it has not two or was not seen here.
ALTER TABLE transcripts ADD COLUMN channels_differ INTEGER;
-- The names that people gave to the speakers of calls, by the labels that these had before their sides were swapped.
CREATE TABLE speakers (
    call_id TEXT NOT NULL,
    label TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (call_id, label)
) STRICT, WITHOUT ROWID;
-- The calls whose two sides somebody swapped.
CREATE TABLE swapped_calls (
    call_id TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
