-- The sessions that were logged out. Their cookies are valid until a week after they were opened.
CREATE TABLE ended_sessions (
    id TEXT NOT NULL PRIMARY KEY,
    ended_at BIGINT NOT NULL
);
