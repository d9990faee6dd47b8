-- What people typed of a transcript from the audio alone. Rows are added and never changed.
CREATE TABLE blind_checks (
    transcript TEXT NOT NULL REFERENCES transcripts (id),
    -- Counts the stretches of the transcript from 1, and how often each was typed.
    stretch INTEGER NOT NULL,
    version INTEGER NOT NULL,
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL,
    -- JSON: what was typed, by channel.
    texts TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    PRIMARY KEY (transcript, stretch, version)
) STRICT, WITHOUT ROWID;
-- A transcript has figures against each kind of reference.
ALTER TABLE measures RENAME TO older;
DROP INDEX measures_dated;
CREATE TABLE measures (
    transcript TEXT NOT NULL REFERENCES transcripts (id),
    -- The channel, or '' where all are one.
    channel TEXT NOT NULL,
    -- 'corrected', 'checked', 'blind'
    reference TEXT NOT NULL,
    -- Whether all of the transcript is checked by ear.
    is_whole INTEGER NOT NULL,
    -- The call's id, or '' of other audio.
    call_id TEXT NOT NULL,
    -- When the call was made, or the transcript of other audio.
    at INTEGER NOT NULL,
    -- Milliseconds of audio that were typed.
    typed_ms INTEGER NOT NULL,
    -- What figures are grouped by; '' where it is not known. The side is the one before anybody swapped the two.
    model TEXT NOT NULL,
    list TEXT NOT NULL,
    side TEXT NOT NULL,
    contact TEXT NOT NULL,
    language TEXT NOT NULL,
    hits INTEGER NOT NULL,
    substitutions INTEGER NOT NULL,
    deletions INTEGER NOT NULL,
    insertions INTEGER NOT NULL,
    said INTEGER NOT NULL,
    heard INTEGER NOT NULL,
    heard_wrongly INTEGER NOT NULL,
    -- Words by confidence: step, words and wrong words of each.
    confidences TEXT NOT NULL,
    PRIMARY KEY (transcript, channel, reference)
) STRICT, WITHOUT ROWID;
CREATE INDEX measures_dated ON measures (at);
INSERT INTO measures SELECT transcript, channel, reference, is_whole, call_id, at, 0, model, list, side, contact, language,
    hits, substitutions, deletions, insertions, said, heard, heard_wrongly, confidences FROM older;
DROP TABLE older;
