-- What a call costs with its transcripts, in millionths of a US dollar, kept as its length is; -1 if that is not known.
ALTER TABLE calls ADD COLUMN cost_microusd INTEGER NOT NULL DEFAULT -1;
CREATE INDEX calls_by_cost ON calls (cost_microusd, id) WHERE (deletion IS NULL OR deletion <> 'done');
-- Those of which it is known by now are summed up when the program starts.
UPDATE calls SET progress = NULL WHERE price_millionths IS NOT NULL OR id IN (SELECT call_id FROM recordings
    JOIN transcripts ON transcripts.recording_sid = recordings.sid WHERE transcripts.cost_microusd IS NOT NULL);
-- Few jobs have failed for good.
CREATE INDEX jobs_failed ON jobs (kind) WHERE state = 'failed';
