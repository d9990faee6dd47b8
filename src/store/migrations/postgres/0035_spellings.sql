-- What AssemblyAI must spell as the term wherever it hears it; '' is nothing. And whether somebody wants that: 'active', or
-- 'rejected' if it must not be proposed again.
ALTER TABLE terms ADD COLUMN misheard TEXT NOT NULL DEFAULT '';
ALTER TABLE terms ADD COLUMN spelling TEXT NOT NULL DEFAULT '';
CREATE INDEX terms_spelled ON terms (scope) WHERE spelling = 'active';
-- What /accuracy lists. Most terms of a long list are never said.
CREATE INDEX terms_counted ON terms (id) WHERE said + heard_wrongly + corrected > 0;
