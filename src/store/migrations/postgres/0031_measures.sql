-- How right each transcript is that somebody has corrected or checked, for each side of its call where these are told apart.
CREATE TABLE measures (
    transcript TEXT NOT NULL REFERENCES transcripts (id),
    -- The channel, or '' where all are one.
    channel TEXT NOT NULL,
    -- 'corrected', 'checked'
    reference TEXT NOT NULL,
    -- Whether all of the transcript is checked by ear.
    is_whole BIGINT NOT NULL,
    -- The call's id, or '' of other audio.
    call_id TEXT NOT NULL,
    -- When the call was made, or the transcript of other audio.
    at BIGINT NOT NULL,
    -- What figures are grouped by; '' where it is not known. The side is the one before anybody swapped the two.
    model TEXT NOT NULL,
    list TEXT NOT NULL,
    side TEXT NOT NULL,
    contact TEXT NOT NULL,
    language TEXT NOT NULL,
    hits BIGINT NOT NULL,
    substitutions BIGINT NOT NULL,
    deletions BIGINT NOT NULL,
    insertions BIGINT NOT NULL,
    said BIGINT NOT NULL,
    heard BIGINT NOT NULL,
    heard_wrongly BIGINT NOT NULL,
    -- Words by confidence: step, words and wrong words of each.
    confidences TEXT NOT NULL,
    PRIMARY KEY (transcript, channel)
);
CREATE INDEX measures_dated ON measures (at);
-- Sums over the measures of whole transcripts, from which it follows which words of a model are marked as unsure.
CREATE TABLE confidences (
    model TEXT NOT NULL PRIMARY KEY,
    confidences TEXT NOT NULL
);
