-- How many claims in a row ended with their program. Almost always 0, so the index is small.
ALTER TABLE jobs ADD COLUMN losses BIGINT NOT NULL DEFAULT 0;
CREATE INDEX jobs_lost ON jobs (losses) WHERE losses > 0;
