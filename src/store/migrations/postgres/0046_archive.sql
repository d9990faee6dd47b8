-- Recordings that are kept in an archive, too. A row is there before anything is written to the archive.
CREATE TABLE archived (
    recording_sid TEXT NOT NULL REFERENCES recordings (sid),
    -- The archive as ARCHIVE_URL names it, and the key of the audio in it.
    archive TEXT NOT NULL,
    key TEXT NOT NULL,
    -- Known once the audio is there as a whole.
    bytes BIGINT,
    sha256 TEXT,
    archived_at BIGINT,
    PRIMARY KEY (recording_sid, archive)
);
