-- What Twilio charges for a call with its legs and recordings, in millionths of a currency. NULL: it has not said so.
ALTER TABLE calls ADD COLUMN price_millionths INTEGER;
ALTER TABLE calls ADD COLUMN price_unit TEXT;
