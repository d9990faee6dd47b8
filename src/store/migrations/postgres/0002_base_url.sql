-- The BASE_URL that a call was dialled with: where its callbacks go.
ALTER TABLE calls ADD COLUMN base_url TEXT;
