-- A label of the operator's own.
ALTER TABLE calls ADD COLUMN tag TEXT;
