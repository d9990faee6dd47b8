-- How often somebody accepted a term as right where AssemblyAI was unsure of it.
ALTER TABLE term_uses ADD COLUMN accepted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE terms ADD COLUMN accepted BIGINT NOT NULL DEFAULT 0;
