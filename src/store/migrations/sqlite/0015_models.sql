-- JSON: the speech models and key terms that the order was last submitted with, and those that were left out.
ALTER TABLE transcripts ADD COLUMN submission TEXT;
-- The model that AssemblyAI says it used.
ALTER TABLE transcripts ADD COLUMN speech_model_used TEXT;
-- The models of the settings that AssemblyAI refused when they were last ordered.
CREATE TABLE refused_models (
    model TEXT NOT NULL PRIMARY KEY,
    -- Milliseconds since 1970.
    refused_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
