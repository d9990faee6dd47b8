-- Finds the calls that an import has brought here.
CREATE INDEX calls_imported ON calls (import, created_at, id) WHERE import IS NOT NULL;
-- Only recordings with so many channels, if set.
ALTER TABLE imports ADD COLUMN channels INTEGER;
-- The number at the other end of the call of a recording that was left out, so that a page can say whose it is. Deleting a call
-- with that number deletes it here, too.
ALTER TABLE import_recordings ADD COLUMN number TEXT;
CREATE INDEX import_recordings_numbered ON import_recordings (number, import) WHERE number IS NOT NULL;
