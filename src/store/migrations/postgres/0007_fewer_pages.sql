-- Each index is a page more of every commit.

-- What is dialled once more is looked for by how its number ends, like everything else.
DROP INDEX calls_dialled_number;

-- A step is looked for by its call; one that names none, by what it is about.
DROP INDEX history_of_subject;
CREATE INDEX history_of_subject ON history (subject) WHERE call_id IS NULL;
