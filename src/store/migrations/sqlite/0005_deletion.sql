-- NULL, 'wanted' or 'done'. Of a deleted call no more is left than what late news of it is known by.
ALTER TABLE calls ADD COLUMN deletion TEXT;

-- The words of a step may be taken away, because a vendor's may hold a number; the step itself stays as it was.
DROP TRIGGER history_is_append_only_update;
CREATE TRIGGER history_is_append_only_update BEFORE UPDATE ON history
    WHEN new.reason IS NOT NULL OR new.number IS NOT old.number OR new.call_id IS NOT old.call_id
        OR new.kind IS NOT old.kind OR new.subject IS NOT old.subject OR new.state IS NOT old.state
        OR new.rank IS NOT old.rank OR new.round IS NOT old.round OR new.at IS NOT old.at
    BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
