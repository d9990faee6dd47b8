-- What lists are filtered and sorted by, kept with the call by each transaction that changes it. NULL until that is known.
ALTER TABLE calls ADD COLUMN progress TEXT;
-- The length of its recordings together; -1 if none has a length.
ALTER TABLE calls ADD COLUMN recorded_seconds INTEGER NOT NULL DEFAULT -1;
CREATE INDEX calls_unsummarized ON calls (id) WHERE progress IS NULL;
-- One for each filter, in the order of the list. Deleted calls are in no list.
CREATE INDEX calls_listed ON calls (created_at, id) WHERE (deletion IS NULL OR deletion <> 'done');
CREATE INDEX calls_of_progress ON calls (progress, created_at, id) WHERE (deletion IS NULL OR deletion <> 'done');
CREATE INDEX calls_of_kind ON calls (kind, created_at, id) WHERE (deletion IS NULL OR deletion <> 'done');
CREATE INDEX calls_no_uploads ON calls (created_at, id) WHERE kind <> 'upload' AND (deletion IS NULL OR deletion <> 'done');
CREATE INDEX calls_of_direction ON calls (direction, created_at, id) WHERE (deletion IS NULL OR deletion <> 'done');
CREATE INDEX calls_unchecked ON calls (created_at, id) WHERE checked_at IS NULL AND (deletion IS NULL OR deletion <> 'done');
CREATE INDEX calls_by_length ON calls (recorded_seconds, id) WHERE (deletion IS NULL OR deletion <> 'done');
DROP INDEX calls_newest;
