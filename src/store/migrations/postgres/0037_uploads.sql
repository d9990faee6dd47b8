-- What clients send as a file or as a URL is in the list as calls are: a row of its own kind, with one recording.
ALTER TABLE calls ADD COLUMN title TEXT;
ALTER TABLE calls ADD COLUMN file_name TEXT;
-- Title and name of the file as search compares them.
ALTER TABLE calls ADD COLUMN folded_title TEXT;
CREATE INDEX calls_uploaded ON calls (created_at, id) WHERE kind = 'upload';
CREATE INDEX calls_tagged ON calls (tag, created_at, id) WHERE tag IS NOT NULL;
-- What finds an upload if the same audio is sent again: 'sha256 ' and the checksum of a file, or a URL. NULL once it is
-- deleted.
ALTER TABLE recordings ADD COLUMN audio TEXT;
CREATE UNIQUE INDEX recordings_uploaded ON recordings (audio) WHERE audio IS NOT NULL;
-- Earlier transcripts of such audio are those of an upload: of one for each URL, and for each file as AssemblyAI had it. Early
-- ids have hyphens. What failed and was sent again has no words, and is no upload.
CREATE TABLE early_uploads AS SELECT id AS transcript, replace(min(id) OVER (PARTITION BY CASE WHEN audio = '' THEN id
    ELSE audio END), '-', '') AS upload FROM transcripts
    WHERE recording_sid IS NULL AND NOT (request_key IS NULL AND state = 'failed');
INSERT INTO calls (id, direction, keyterms, state, rank, holds_number, created_at, ended_at, updated_at, kind, checked_at)
    SELECT upload, 'unknown', '[]', 'completed', 6, 0, min(created_at), min(created_at), max(updated_at), 'upload',
    CASE WHEN count(*) = count(checked_at) THEN max(checked_at) END
    FROM early_uploads JOIN transcripts ON transcripts.id = transcript GROUP BY upload;
INSERT INTO recordings (sid, call_id, state, rank, source, created_at, updated_at, audio)
    SELECT 'RE' || upload, upload, 'completed', 2, 'upload', min(created_at), max(updated_at),
    -- Of a file, only AssemblyAI's URL is known.
    CASE WHEN min(audio) NOT LIKE '%/upload/%' AND min(audio) <> '' THEN min(audio) END
    FROM early_uploads JOIN transcripts ON transcripts.id = transcript GROUP BY upload;
UPDATE spoken SET source = (SELECT 'RE' || upload FROM early_uploads WHERE early_uploads.transcript = spoken.transcript)
    WHERE transcript IN (SELECT transcript FROM early_uploads);
INSERT INTO unsearched (transcript) SELECT transcript FROM early_uploads JOIN transcripts ON transcripts.id = transcript
    WHERE transcripts.state = 'completed' AND text <> '' ON CONFLICT DO NOTHING;
UPDATE measures SET call_id = (SELECT upload FROM early_uploads WHERE early_uploads.transcript = measures.transcript)
    WHERE call_id = '' AND transcript IN (SELECT transcript FROM early_uploads);
UPDATE transcripts SET recording_sid = (SELECT 'RE' || upload FROM early_uploads WHERE early_uploads.transcript = transcripts.id)
    WHERE id IN (SELECT transcript FROM early_uploads);
DROP TABLE early_uploads;
