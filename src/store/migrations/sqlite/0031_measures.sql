-- How right each transcript is that somebody has corrected or checked, for each side of its call where these are told apart.
CREATE TABLE measures (
    transcript TEXT NOT NULL REFERENCES transcripts (id),
    -- The channel, or '' where all are one.
    channel TEXT NOT NULL,
    -- 'corrected', 'checked'
    reference TEXT NOT NULL,
    -- Whether all of the transcript is checked by ear.
    is_whole INTEGER NOT NULL,
    -- The call's id, or '' of other audio.
    call_id TEXT NOT NULL,
    -- When the call was made, or the transcript of other audio.
    at INTEGER NOT NULL,
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
    PRIMARY KEY (transcript, channel)
) STRICT, WITHOUT ROWID;
CREATE INDEX measures_dated ON measures (at);
-- Sums over the measures of whole transcripts, from which it follows which words of a model are marked as unsure.
CREATE TABLE confidences (
    model TEXT NOT NULL PRIMARY KEY,
    confidences TEXT NOT NULL
) STRICT, WITHOUT ROWID;
