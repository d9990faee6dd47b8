-- What people typed of a transcript from the audio alone. Rows are added and never changed.
CREATE TABLE blind_checks (
    transcript TEXT NOT NULL REFERENCES transcripts (id),
    -- Counts the stretches of the transcript from 1, and how often each was typed.
    stretch BIGINT NOT NULL,
    version BIGINT NOT NULL,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT NOT NULL,
    -- JSON: what was typed, by channel.
    texts TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    PRIMARY KEY (transcript, stretch, version)
);
-- A transcript has figures against each kind of reference: 'corrected', 'checked', 'blind'.
ALTER TABLE measures DROP CONSTRAINT measures_pkey;
ALTER TABLE measures ADD PRIMARY KEY (transcript, channel, reference);
-- Milliseconds of audio that were typed.
ALTER TABLE measures ADD COLUMN typed_ms BIGINT NOT NULL DEFAULT 0;
