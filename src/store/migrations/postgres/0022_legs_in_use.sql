-- A phone at which somebody talks is not rung a second time.
CREATE INDEX legs_in_progress ON legs (number) WHERE state = 'in-progress';

-- Who is at the phone of a leg follows from the direction of its call, which may be known later than the leg.
ALTER TABLE legs DROP COLUMN role;

-- The operator's phone is deleted with the data of its call. That two phones rang counts all the same.
DROP INDEX calls_dialed_conversations;
CREATE INDEX calls_dialed_conversations ON calls (dialled_at) WHERE kind = 'conversation' AND dialled_at IS NOT NULL;
