-- Since when calls to each of our numbers that Twilio did not report are searched for. Times are milliseconds since 1970.
CREATE TABLE IF NOT EXISTS unreported_calls (
    number TEXT NOT NULL PRIMARY KEY,
    -- By our clock: earlier calls are none of ours.
    opened_at INTEGER NOT NULL,
    -- By Twilio's clock. NULL before the first search.
    since INTEGER
) STRICT, WITHOUT ROWID;
