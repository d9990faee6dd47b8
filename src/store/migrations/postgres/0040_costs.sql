-- What a transcript costs, in millionths of a US dollar. NULL: not known, as for all that were finished before. Of one that was
-- ordered automatically, also what it was thought to cost, which counts until its cost is known.
ALTER TABLE transcripts ADD COLUMN cost_microusd BIGINT;
ALTER TABLE transcripts ADD COLUMN estimate_microusd BIGINT;
-- When a transcript was ordered automatically, of any call; NULL if somebody has asked for it. Dated in the future by a clock
-- that was ahead, it is redated as calls are. The indexes have the costs, which stand behind the JSON in a row.
ALTER TABLE transcripts ADD COLUMN automatic_at BIGINT;
CREATE INDEX transcripts_automatic ON transcripts (automatic_at, cost_microusd, estimate_microusd)
    WHERE automatic_at IS NOT NULL;
CREATE INDEX transcripts_automatic_redated ON transcripts (created_at, automatic_at, cost_microusd, estimate_microusd)
    WHERE automatic_at < created_at;
-- When a recording was not transcribed because of the budget of the day, and what that budget was.
ALTER TABLE recordings ADD COLUMN over_budget_at BIGINT;
ALTER TABLE recordings ADD COLUMN over_budget_microusd BIGINT;
CREATE INDEX recordings_over_budget ON recordings (over_budget_at) WHERE over_budget_at IS NOT NULL;
