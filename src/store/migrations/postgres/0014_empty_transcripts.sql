-- An empty transcript was indexed in place of an older one of the same recording that says something. The program indexes
-- all transcripts of recordings that have several once more when it opens the store, by today's rule.
INSERT INTO unsearched (transcript) SELECT id FROM transcripts WHERE state = 'completed' AND recording_sid IN
    (SELECT recording_sid FROM transcripts WHERE recording_sid IS NOT NULL GROUP BY recording_sid HAVING count(*) > 1)
    ON CONFLICT DO NOTHING;
INSERT INTO unsearched (transcript) SELECT id FROM transcripts WHERE state = 'completed' AND recording_sid IS NULL AND audio IN
    (SELECT audio FROM transcripts WHERE recording_sid IS NULL GROUP BY audio HAVING count(*) > 1)
    ON CONFLICT DO NOTHING;
