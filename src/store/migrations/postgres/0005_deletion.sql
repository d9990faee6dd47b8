-- NULL, 'wanted' or 'done'. Of a deleted call no more is left than what late news of it is known by.
ALTER TABLE calls ADD COLUMN deletion TEXT;

-- The words of a step may be taken away, because a vendor's may hold a number; the step itself stays as it was.
DROP TRIGGER history_is_append_only ON history;
CREATE TRIGGER history_is_append_only BEFORE DELETE ON history
    FOR EACH ROW EXECUTE FUNCTION history_is_append_only();
CREATE TRIGGER history_is_append_only_update BEFORE UPDATE ON history
    FOR EACH ROW WHEN (new.reason IS NOT NULL
        OR (new.number, new.call_id, new.kind, new.subject, new.state, new.rank, new.round, new.at)
            IS DISTINCT FROM (old.number, old.call_id, old.kind, old.subject, old.state, old.rank, old.round, old.at))
    EXECUTE FUNCTION history_is_append_only();
