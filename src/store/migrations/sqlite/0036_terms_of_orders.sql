-- An order reads the most useful terms of a long vocabulary from the index alone, and how many there are from one row.
DROP INDEX terms_ranked;
CREATE INDEX terms_ranked ON terms (scope, state, rank DESC, made_at, id, term);
CREATE TABLE active_terms (
    scope TEXT NOT NULL PRIMARY KEY,
    terms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO active_terms SELECT scope, count(*) FROM terms WHERE state = 'active' GROUP BY scope;
CREATE TRIGGER terms_added AFTER INSERT ON terms WHEN NEW.state = 'active' BEGIN
    INSERT INTO active_terms VALUES (NEW.scope, 1) ON CONFLICT DO UPDATE SET terms = terms + 1;
END;
CREATE TRIGGER terms_deleted AFTER DELETE ON terms WHEN OLD.state = 'active' BEGIN
    UPDATE active_terms SET terms = terms - 1 WHERE scope = OLD.scope;
END;
CREATE TRIGGER terms_changed AFTER UPDATE OF scope, state ON terms BEGIN
    UPDATE active_terms SET terms = terms - 1 WHERE scope = OLD.scope AND OLD.state = 'active';
    INSERT INTO active_terms SELECT NEW.scope, 1 WHERE NEW.state = 'active'
        ON CONFLICT DO UPDATE SET terms = terms + 1;
END;
