-- Trials: recordings that have a transcript, transcribed again in one way or in several, each of which is called an arm.
CREATE TABLE trials (
    id TEXT NOT NULL PRIMARY KEY,
    -- 'trial' compares; 'again' is meant to replace the transcripts that there are.
    kind TEXT NOT NULL,
    -- A checksum of what was asked for, so that the same request sent twice begins one.
    asked TEXT NOT NULL,
    -- JSON: with what each arm is ordered.
    arms TEXT NOT NULL,
    -- JSON: how many calls it leaves out, and why.
    left_out TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    -- From then on nothing more is ordered.
    stopped_at BIGINT,
    -- The arm whose transcripts become the current ones of their recordings; -1 is what there was before; NULL if nobody has
    -- asked for that. Each request has a number.
    choosing BIGINT,
    choices BIGINT NOT NULL DEFAULT 0,
    chosen_by TEXT
);
CREATE INDEX trials_listed ON trials (made_at, id);
CREATE TABLE trial_recordings (
    trial TEXT NOT NULL REFERENCES trials (id),
    recording_sid TEXT NOT NULL REFERENCES recordings (sid),
    -- The transcript that it had. Its corrected or checked words are the reference.
    baseline TEXT NOT NULL REFERENCES transcripts (id),
    seconds BIGINT NOT NULL,
    -- What its figures were made from: other transcripts or corrections since then need new ones.
    measured TEXT NOT NULL DEFAULT '',
    -- The number of the last request to choose that was carried out for it, and the arm whose transcript is current since.
    chosen BIGINT NOT NULL DEFAULT 0,
    chosen_arm BIGINT,
    PRIMARY KEY (trial, recording_sid)
);
CREATE INDEX trials_of_baseline ON trial_recordings (baseline);
-- The trial that a transcript is part of, and the position of its arm. Such a transcript is none of its call's until somebody
-- chooses it.
ALTER TABLE transcripts ADD COLUMN trial TEXT;
ALTER TABLE transcripts ADD COLUMN arm BIGINT;
CREATE UNIQUE INDEX transcripts_of_trial ON transcripts (trial, recording_sid, arm) WHERE trial IS NOT NULL;
-- How right each transcript of a trial is, against each kind of reference; arm -1 is what there was before.
CREATE TABLE trial_figures (
    trial TEXT NOT NULL,
    recording_sid TEXT NOT NULL,
    arm BIGINT NOT NULL,
    reference TEXT NOT NULL,
    hits BIGINT NOT NULL,
    substitutions BIGINT NOT NULL,
    deletions BIGINT NOT NULL,
    insertions BIGINT NOT NULL,
    -- Of characters: those of the reference, and the errors.
    characters BIGINT NOT NULL,
    character_errors BIGINT NOT NULL,
    said BIGINT NOT NULL,
    heard BIGINT NOT NULL,
    heard_wrongly BIGINT NOT NULL,
    PRIMARY KEY (trial, recording_sid, arm, reference),
    FOREIGN KEY (trial, recording_sid) REFERENCES trial_recordings (trial, recording_sid)
);
CREATE INDEX trial_figures_of_recording ON trial_figures (recording_sid);
