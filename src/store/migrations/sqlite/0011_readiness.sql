-- Written again and again to find out whether the database can be written. It holds one row.
CREATE TABLE readiness (
    -- Milliseconds since 1970.
    checked_at INTEGER NOT NULL
) STRICT;
