-- The names that people gave to numbers. The name of a call's other end is read from here, and stored nowhere else.
CREATE TABLE contacts (
    -- E.164, with its plus.
    number TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    -- The terms of the name as search folds them, for search and order.
    folded_name TEXT NOT NULL,
    -- A JSON array.
    keyterms TEXT NOT NULL,
    notes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX contacts_by_name ON contacts (folded_name, number);
