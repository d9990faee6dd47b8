-- An order reads the most useful terms of a long vocabulary from the index alone, and how many there are from one row.
DROP INDEX terms_ranked;
CREATE INDEX terms_ranked ON terms (scope, state, rank DESC, made_at, id, term);
CREATE TABLE active_terms (
    scope TEXT NOT NULL PRIMARY KEY,
    terms BIGINT NOT NULL
);
INSERT INTO active_terms SELECT scope, count(*) FROM terms WHERE state = 'active' GROUP BY scope;
CREATE OR REPLACE FUNCTION count_active_terms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.state = 'active' THEN
        UPDATE active_terms SET terms = terms - 1 WHERE scope = OLD.scope;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.state = 'active' THEN
        INSERT INTO active_terms AS known VALUES (NEW.scope, 1)
            ON CONFLICT (scope) DO UPDATE SET terms = known.terms + 1;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER terms_added AFTER INSERT OR DELETE ON terms FOR EACH ROW EXECUTE FUNCTION count_active_terms();
CREATE TRIGGER terms_changed AFTER UPDATE OF scope, state ON terms FOR EACH ROW
    WHEN (OLD.scope <> NEW.scope OR OLD.state <> NEW.state) EXECUTE FUNCTION count_active_terms();
