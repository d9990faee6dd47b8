-- NULL, 'wanted' or 'done'. Of a deleted call no more is left than what late news of it is known by.
ALTER TABLE calls ADD COLUMN deletion TEXT;

-- The words of a step may be taken away, because a vendor's may hold a number; the step itself stays as it was.
CREATE OR REPLACE FUNCTION history_is_append_only() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN
        IF TG_OP = 'UPDATE' AND new.reason IS NULL
            AND (new.number, new.call_id, new.kind, new.subject, new.state, new.rank, new.round, new.at) IS NOT DISTINCT FROM
                (old.number, old.call_id, old.kind, old.subject, old.state, old.rank, old.round, old.at)
        THEN RETURN new;
        END IF;
        RAISE EXCEPTION 'history is append-only';
    END $$;
