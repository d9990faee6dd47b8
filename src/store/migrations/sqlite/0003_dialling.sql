-- When this program meant to dial; NULL for calls that others placed.
ALTER TABLE calls ADD COLUMN dialled_at INTEGER;
-- Names the press of a button that asked for the call: pressed twice, it is one call.
ALTER TABLE calls ADD COLUMN press TEXT;
UPDATE calls SET dialled_at = created_at WHERE direction = 'outbound';
CREATE INDEX calls_press ON calls (press) WHERE press IS NOT NULL;
CREATE INDEX calls_dialled ON calls (dialled_at) WHERE dialled_at IS NOT NULL;
CREATE INDEX calls_dialled_number ON calls (to_number, dialled_at) WHERE dialled_at IS NOT NULL;

-- Its one row is written by whoever is about to dial, so that no two count the calls at the same time.
CREATE TABLE dialling (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    at INTEGER NOT NULL
) STRICT;
INSERT INTO dialling (only_row, at) VALUES (1, 0);
