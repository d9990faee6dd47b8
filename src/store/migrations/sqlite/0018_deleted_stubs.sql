-- Older programs stored what AssemblyAI keeps of a deleted transcript as speech. It is a failed transcript. Only these have
-- failed and have a text, until the last statement.
UPDATE transcripts SET state = 'failed', reason = 'the transcript was deleted at AssemblyAI'
    WHERE state = 'completed' AND text = 'Deleted by user.' AND instr(json, CAST('"http://deleted_by_user"' AS BLOB)) > 0;
INSERT INTO history (call_id, kind, subject, state, rank, round, reason, at)
    SELECT (SELECT call_id FROM recordings WHERE sid = recording_sid), 'transcript', id, state, rank, round, reason,
    CAST(strftime('%s', 'now') AS INTEGER) * 1000 FROM transcripts WHERE state = 'failed' AND text IS NOT NULL;

-- FTS5 must be told the terms that go.
INSERT INTO spoken_text (spoken_text, rowid, words) SELECT 'delete', place, ' deleted by user ' || facts FROM spoken
    WHERE transcript IN (SELECT id FROM transcripts WHERE state = 'failed' AND text IS NOT NULL);
DELETE FROM spoken WHERE transcript IN (SELECT id FROM transcripts WHERE state = 'failed' AND text IS NOT NULL);
-- The program indexes what the same recordings say otherwise when it opens the store.
INSERT INTO unsearched (transcript) SELECT good.id FROM transcripts good JOIN transcripts stub
    ON good.recording_sid = stub.recording_sid WHERE good.state = 'completed' AND stub.state = 'failed' AND stub.text IS NOT NULL
    ON CONFLICT DO NOTHING;
INSERT INTO unsearched (transcript) SELECT good.id FROM transcripts good JOIN transcripts stub
    ON good.audio = stub.audio AND good.recording_sid IS NULL AND stub.recording_sid IS NULL
    WHERE good.state = 'completed' AND stub.state = 'failed' AND stub.text IS NOT NULL
    ON CONFLICT DO NOTHING;
DELETE FROM words WHERE transcript IN (SELECT id FROM transcripts WHERE state = 'failed' AND text IS NOT NULL);
UPDATE transcripts SET text = NULL WHERE state = 'failed' AND text IS NOT NULL;
