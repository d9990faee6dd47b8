-- The vocabulary: words and phrases that transcripts must get right, each with the calls that it is for.
CREATE TABLE terms (
    id TEXT NOT NULL PRIMARY KEY,
    term TEXT NOT NULL,
    -- Without case. A scope has each term once.
    lower_case TEXT NOT NULL,
    -- 'all', or 'contact:' with the number, or 'tag:' with the tag
    scope TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    -- How useful it is: it grows with its uses, and with the time of each.
    rank INTEGER NOT NULL,
    -- Sums over term_uses.
    said INTEGER NOT NULL DEFAULT 0,
    heard INTEGER NOT NULL DEFAULT 0,
    heard_wrongly INTEGER NOT NULL DEFAULT 0,
    corrected INTEGER NOT NULL DEFAULT 0,
    UNIQUE (scope, lower_case)
) STRICT, WITHOUT ROWID;
-- What an order takes, and what the list shows.
CREATE INDEX terms_ranked ON terms (scope, state, rank DESC, made_at, id);
CREATE INDEX terms_listed ON terms (state, lower_case, id);
-- How often each term was said and heard in a transcript that somebody has corrected or checked.
CREATE TABLE term_uses (
    transcript TEXT NOT NULL REFERENCES transcripts (id),
    term TEXT NOT NULL REFERENCES terms (id),
    -- When the transcript was made.
    at INTEGER NOT NULL,
    said INTEGER NOT NULL,
    heard INTEGER NOT NULL,
    heard_wrongly INTEGER NOT NULL,
    corrected INTEGER NOT NULL,
    -- JSON: what was heard instead, and where.
    places TEXT NOT NULL,
    PRIMARY KEY (transcript, term)
) STRICT, WITHOUT ROWID;
CREATE INDEX uses_of_term ON term_uses (term, at);
-- The key terms of contacts are part of it.
INSERT INTO terms (id, term, lower_case, scope, source, state, made_at, made_by, rank)
SELECT lower(hex(randomblob(16))), json_each.value, lower(json_each.value), 'contact:' || number, 'typed', 'active',
    contacts.updated_at + json_each.key, 'an earlier version', 0
FROM contacts, json_each(contacts.keyterms)
WHERE true
ON CONFLICT DO NOTHING;
UPDATE contacts SET keyterms = '[]';
