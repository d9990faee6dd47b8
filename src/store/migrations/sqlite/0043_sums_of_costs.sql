-- What the sums of costs need, without the JSON and texts beside it. SQLite reads no row only if the index has the state, too.
CREATE INDEX transcripts_costs ON transcripts (created_at, speech_model_used, cost_microusd, recording_sid, state)
    WHERE state = 'completed';
CREATE INDEX calls_prices ON calls (created_at, price_unit, price_millionths) WHERE price_millionths IS NOT NULL;
