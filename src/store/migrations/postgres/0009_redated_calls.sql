-- A call that a clock which was ahead has dated in the future is redated once: it counts as dialed when that is noticed. If
-- the clock was behind instead when it was redated, its own time counts, which this index finds.
CREATE INDEX calls_redated ON calls (created_at) WHERE dialled_at < created_at;
