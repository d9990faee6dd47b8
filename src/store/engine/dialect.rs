//! The statements that differ between SQLite and PostgreSQL. Every other statement is one text for both.

use crate::model::search::Query;
use crate::store::columns::{call_columns, delivery_columns};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Dialect {
    Sqlite,
    Postgres,
}

/// How long after the end of its lease a job waits that was lost before, in milliseconds: 1, 8, 27 and then 60 seconds.
macro_rules! pause_after_losses {
    () => {
        "(CASE WHEN losses > 3 THEN 60000 ELSE losses * losses * losses * 1000 END)"
    };
}
pub(in crate::store) use pause_after_losses;

/// Transcripts in the search index that match `$1` and the filter, newest first.
macro_rules! found_in_index {
    ($is_found:expr) => {
        concat!(
            "SELECT place, transcript, ",
            call_columns!(),
            " FROM spoken_text
                JOIN spoken ON spoken.place = spoken_text.rowid
                LEFT JOIN recordings ON recordings.sid = spoken.source
                LEFT JOIN calls ON calls.id = recordings.call_id
                WHERE ",
            $is_found,
            r" AND spoken_text.rowid > $2 AND spoken_text.rowid <= $3
                AND coalesce(calls.state = $4, CAST($4 AS TEXT) IS NULL)
                AND coalesce(to_number LIKE $5 ESCAPE '\' OR from_number LIKE $5 ESCAPE '\', CAST($5 AS TEXT) IS NULL)
                ORDER BY spoken_text.rowid LIMIT $6"
        )
    };
}

macro_rules! matches_in_postgres {
    () => {
        "terms @@ CAST(split_part(split_part($1, chr(12), 1), chr(10), 1) AS tsquery)
         AND said LIKE ALL ((string_to_array(split_part($1, chr(12), 1), chr(10)))[2:])
         AND said ~ ALL (string_to_array(split_part($1, chr(12), 2), chr(10)))
         AND (CAST($4 AS TEXT) IS NULL OR spoken_text.state = $4)"
    };
}

macro_rules! matches_in_sqlite {
    () => {
        "spoken_text MATCH $1"
    };
}

/// What the progress of a call, its length and its cost follow from. `$2` is the rank of a completed recording, `$3` that of a completed
/// transcript.
macro_rules! summary_columns {
    () => {
        "job.state AS job,
         CASE WHEN calls.kind = 'conversation' THEN (SELECT legs.state FROM legs WHERE call_id = calls.id
             ORDER BY legs.rank DESC, legs.state = 'completed' DESC LIMIT 1) END AS leg,
         CASE WHEN calls.kind = 'conversation' THEN (SELECT max(legs.bridged) FROM legs
             WHERE call_id = calls.id) END AS bridged,
         (SELECT CAST(sum(duration_seconds) AS BIGINT) FROM recordings WHERE call_id = calls.id) AS total_seconds,
         (SELECT count(*) FROM recordings WHERE call_id = calls.id AND rank < $2) AS coming,
         (SELECT count(*) FROM recordings JOIN transcripts ON recording_sid = recordings.sid
             WHERE call_id = calls.id) AS transcripts,
         (SELECT count(*) FROM recordings JOIN transcripts ON recording_sid = recordings.sid
             WHERE call_id = calls.id AND request_key IS NOT NULL AND transcripts.rank < $3) AS unfinished,
         (SELECT count(*) FROM recordings JOIN transcripts ON recording_sid = recordings.sid
             WHERE call_id = calls.id AND request_key IS NOT NULL AND transcripts.state = 'failed'
             AND NOT EXISTS (SELECT 1 FROM transcripts AS made
                 WHERE made.recording_sid = recordings.sid AND made.state = 'completed')) AS failed,
         (SELECT count(*) FROM recordings WHERE call_id = calls.id AND state = 'completed'
             AND NOT EXISTS (SELECT 1 FROM transcripts WHERE recording_sid = recordings.sid))
             AS untranscribed,
         (SELECT max(over_budget_microusd) FROM recordings WHERE call_id = calls.id AND state = 'completed'
             AND NOT EXISTS (SELECT 1 FROM transcripts WHERE recording_sid = recordings.sid))
             AS over_budget,
         (SELECT CAST(sum(cost_microusd) AS BIGINT) FROM recordings
             JOIN transcripts ON recording_sid = recordings.sid WHERE call_id = calls.id) AS cost"
    };
}

macro_rules! summaries_of {
    ($ids:literal) => {
        concat!(
            "FROM calls LEFT JOIN jobs AS job ON job.kind = 'call' AND job.subject = calls.id
             WHERE calls.id IN (SELECT ",
            $ids,
            ")"
        )
    };
}

impl Dialect {
    fn is_postgres(self) -> bool {
        self == Self::Postgres
    }

    /// Whether transactions run at the same time. PostgreSQL's wait for each other only where they write the same row,
    /// and may commit in another order than that in which a column numbered their rows.
    pub(in crate::store) fn has_other_writers(self) -> bool {
        self.is_postgres()
    }

    /// Claims due jobs. PostgreSQL skips those that another instance is claiming; on SQLite nobody else writes meanwhile.
    pub(in crate::store) fn claim_jobs(self) -> &'static str {
        macro_rules! claimable {
            ($due:literal, $lock:literal) => {
                concat!(
                    "SELECT kind, subject FROM (
                        SELECT kind, subject FROM jobs WHERE state = 'open' AND ",
                    $due,
                    "   AND (lease_until IS NULL OR (lease_until <= $3 AND losses = 0) OR lease_until > $6)
                        ORDER BY due_at LIMIT $5",
                    $lock,
                    ") AS each"
                )
            };
        }
        // One that is lost again and again may be what kills the program. In one instance it runs while no other of its kind
        // does, so that those that only ran beside it come to their end. Instances that claim in the same moment may run one
        // each.
        macro_rules! lost {
            ($lock:literal) => {
                concat!(
                    "SELECT kind, subject FROM (
                        SELECT kind, subject FROM jobs WHERE losses > 0 AND state = 'open' AND due_at <= $3
                        AND lease_until <= $3 - ",
                    pause_after_losses!(),
                    "   AND NOT EXISTS (SELECT 1 FROM jobs AS running
                            WHERE running.losses > 0 AND running.losses > 1 AND running.lease_until > $3)
                        ORDER BY due_at LIMIT 1",
                    $lock,
                    ") AS each"
                )
            };
        }
        // Two more selects, so that both use the index by due time: most open jobs are due later.
        macro_rules! claim {
            ($lock:literal) => {
                concat!(
                    "WITH due AS MATERIALIZED (",
                    lost!($lock),
                    " UNION ALL ",
                    claimable!("due_at <= $3", $lock),
                    " UNION ALL ",
                    claimable!("due_at > $4", $lock),
                    " LIMIT $5)
                    UPDATE jobs SET owner = $1, lease_until = $2, attempt = attempt + 1, nudged = 0,
                    losses = CASE WHEN owner IS NULL OR owner = $1 THEN losses ELSE losses + 1 END,
                    created_at = CASE WHEN created_at > $3 THEN $3 ELSE created_at END
                    WHERE (kind, subject) IN (SELECT kind, subject FROM due)
                    RETURNING kind, subject, attempt, failures, looks, losses, created_at, lease_until"
                )
            };
        }
        if self.is_postgres() { claim!(" FOR UPDATE SKIP LOCKED") } else { claim!("") }
    }

    /// Claims deliveries that are due. PostgreSQL skips those that another instance is claiming.
    pub(in crate::store) fn claim_deliveries(self) -> &'static str {
        macro_rules! claim {
            ($lock:literal) => {
                concat!(
                    "UPDATE deliveries SET due_at = $3 WHERE number IN (
                        SELECT number FROM deliveries AS due WHERE receiver = $1 AND state = 'waiting' AND due_at <= $2
                        AND NOT EXISTS (SELECT 1 FROM deliveries AS before WHERE before.receiver = $1
                            AND before.item = due.item AND before.state = 'waiting' AND before.number < due.number)
                        ORDER BY due_at, number LIMIT $4",
                    $lock,
                    ") RETURNING ",
                    delivery_columns!()
                )
            };
        }
        if self.is_postgres() { claim!(" FOR UPDATE SKIP LOCKED") } else { claim!("") }
    }

    /// The newest call that was dialed to a number since a time and that rang, or may have, with this operator's phone.
    pub(in crate::store) fn newest_dialed_since(self) -> &'static str {
        macro_rules! dialed {
            ($same_end:literal) => {
                concat!(
                    "SELECT ",
                    call_columns!(),
                    " FROM calls WHERE ",
                    $same_end,
                    " AND created_at > $2 AND to_number = $1
                     AND operator_number IS NOT DISTINCT FROM $4
                     AND (dialled_at > $2 OR dialled_at IS NOT NULL AND created_at <= $3)
                     AND (sid IS NOT NULL OR holds_number = 1) ORDER BY created_at DESC LIMIT 1"
                )
            };
        }
        if self.is_postgres() {
            dialed!("right(to_number, 4) = right($1, 4)")
        } else {
            dialed!("substr(to_number, -4) = substr($1, -4)")
        }
    }

    /// The call of a recording, locked until the transaction ends: otherwise another PostgreSQL transaction could change
    /// the call without seeing what this one indexes.
    pub(in crate::store) fn lock_call_of_recording(self) -> &'static str {
        macro_rules! call {
            ($lock:literal) => {
                concat!(
                    "SELECT id, state, to_number, from_number, deletion, created_at FROM calls
                     WHERE id = (SELECT call_id FROM recordings WHERE sid = $1)",
                    $lock
                )
            };
        }
        if self.is_postgres() { call!(" FOR NO KEY UPDATE") } else { call!("") }
    }

    /// The summaries of the calls whose ids are in a JSON array, each with the beginning of its words.
    pub(in crate::store) fn select_call_summaries(self) -> &'static str {
        macro_rules! summaries {
            ($ids:literal) => {
                concat!(
                    "SELECT calls.id, ",
                    summary_columns!(),
                    ", (SELECT substr(text, 1, 200) FROM recordings JOIN transcripts ON recording_sid = recordings.sid
                     WHERE call_id = calls.id AND text <> '' AND (trial IS NULL OR chosen_at IS NOT NULL)
                     ORDER BY coalesce(chosen_at, 0) DESC, transcripts.created_at DESC, transcripts.id DESC
                     LIMIT 1) AS words ",
                    summaries_of!($ids)
                )
            };
        }
        if self.is_postgres() {
            summaries!("jsonb_array_elements_text($1::text::jsonb)")
        } else {
            summaries!("value FROM json_each($1)")
        }
    }

    /// What the calls with a number cost together, as their rows have it.
    pub(in crate::store) fn cost_with_number(self) -> &'static str {
        macro_rules! cost {
            ($end_of_to:literal, $end_of_from:literal, $end:literal) => {
                concat!(
                    "SELECT CAST(sum(cost) AS BIGINT) AS cost FROM (
                         SELECT cost_microusd AS cost FROM calls WHERE ",
                    $end_of_to,
                    " = ",
                    $end,
                    " AND to_number = $1 AND direction = 'outbound' AND cost_microusd > 0
                         UNION ALL SELECT cost_microusd AS cost FROM calls WHERE ",
                    $end_of_from,
                    " = ",
                    $end,
                    " AND from_number = $1 AND direction <> 'outbound' AND cost_microusd > 0) AS spent"
                )
            };
        }
        if self.is_postgres() {
            cost!("right(to_number, 4)", "right(from_number, 4)", "right($1, 4)")
        } else {
            cost!("substr(to_number, -4)", "substr(from_number, -4)", "substr($1, -4)")
        }
    }

    /// Why transcripts failed of the calls whose ids are in a JSON array, the newest last. Those that are not missed are left out.
    pub(in crate::store) fn failures_of_calls(self) -> &'static str {
        macro_rules! failures {
            ($ids:literal) => {
                concat!(
                    "SELECT call_id, transcripts.reason FROM recordings JOIN transcripts ON recording_sid = recordings.sid
                     WHERE call_id IN (SELECT ",
                    $ids,
                    ") AND request_key IS NOT NULL AND transcripts.state = 'failed' AND transcripts.reason IS NOT NULL
                     AND NOT EXISTS (SELECT 1 FROM transcripts AS made
                         WHERE made.recording_sid = recordings.sid AND made.state = 'completed')
                     ORDER BY transcripts.created_at, transcripts.id"
                )
            };
        }
        if self.is_postgres() {
            failures!("jsonb_array_elements_text($1::text::jsonb)")
        } else {
            failures!("value FROM json_each($1)")
        }
    }

    /// The calls whose ids are in a JSON array, each with its summary and with what is stored of it.
    pub(in crate::store) fn select_changed_calls(self) -> &'static str {
        macro_rules! changed {
            ($ids:literal) => {
                concat!(
                    "SELECT ",
                    call_columns!(),
                    ", calls.progress AS stored_progress, calls.recorded_seconds AS stored_seconds,
                     calls.cost_microusd AS stored_cost, ",
                    summary_columns!(),
                    " ",
                    summaries_of!($ids)
                )
            };
        }
        if self.is_postgres() {
            changed!("jsonb_array_elements_text($1::text::jsonb)")
        } else {
            changed!("value FROM json_each($1)")
        }
    }

    /// Locks the calls whose ids are in a JSON array, on PostgreSQL: otherwise another transaction could change what this one
    /// sums up. SQLite has one writer.
    pub(in crate::store) fn lock_calls(self) -> &'static str {
        "SELECT id FROM calls WHERE id IN (SELECT jsonb_array_elements_text($1::text::jsonb)) ORDER BY id FOR NO KEY UPDATE"
    }

    /// The same for terms.
    pub(in crate::store) fn lock_terms(self) -> &'static str {
        "SELECT id FROM terms WHERE id IN (SELECT jsonb_array_elements_text($1::text::jsonb)) ORDER BY id FOR NO KEY UPDATE"
    }

    /// The calls of the orders whose ids are in a JSON array.
    pub(in crate::store) fn calls_of_orders(self) -> &'static str {
        macro_rules! calls {
            ($ids:literal) => {
                concat!(
                    "SELECT DISTINCT call_id FROM recordings JOIN transcripts ON transcripts.recording_sid = recordings.sid
                     WHERE transcripts.id IN (SELECT ",
                    $ids,
                    ")"
                )
            };
        }
        if self.is_postgres() {
            calls!("jsonb_array_elements_text($1::text::jsonb)")
        } else {
            calls!("value FROM json_each($1)")
        }
    }

    /// The current transcripts of the calls whose ids are in a JSON array.
    pub(in crate::store) fn current_transcripts(self) -> &'static str {
        macro_rules! current {
            ($ids:literal) => {
                concat!(
                    "SELECT transcripts.id, transcript_id, call_id, duration_seconds, CAST(length(text) AS BIGINT) AS length,
                     speech_model_used, parameters
                     FROM recordings JOIN spoken ON spoken.source = recordings.sid
                     JOIN transcripts ON transcripts.id = spoken.transcript JOIN calls ON calls.id = recordings.call_id
                     WHERE recordings.call_id IN (SELECT ",
                    $ids,
                    ") AND deletion IS NULL AND transcript_id IS NOT NULL AND text <> ''
                     ORDER BY call_id, transcripts.created_at, transcripts.id"
                )
            };
        }
        if self.is_postgres() {
            current!("jsonb_array_elements_text($1::text::jsonb)")
        } else {
            current!("value FROM json_each($1)")
        }
    }

    /// The texts of the orders whose ids are in a JSON array, but for those of calls that somebody deletes.
    pub(in crate::store) fn texts_of_orders(self) -> &'static str {
        macro_rules! texts {
            ($ids:literal) => {
                concat!(
                    "SELECT transcripts.id, text, version, transcripts.checked_at FROM transcripts
                     JOIN recordings ON recordings.sid = transcripts.recording_sid JOIN calls ON calls.id = recordings.call_id
                     WHERE transcripts.id IN (SELECT ",
                    $ids,
                    ") AND text IS NOT NULL AND deletion IS NULL"
                )
            };
        }
        if self.is_postgres() {
            texts!("jsonb_array_elements_text($1::text::jsonb)")
        } else {
            texts!("value FROM json_each($1)")
        }
    }

    /// The words that AssemblyAI heard in the orders whose ids are in a JSON array, in their order.
    pub(in crate::store) fn words_of_orders(self) -> &'static str {
        macro_rules! words {
            ($ids:literal) => {
                concat!(
                    "SELECT transcript, word, start_ms, end_ms, confidence, speaker, channel FROM words
                     WHERE transcript IN (SELECT ",
                    $ids,
                    ") ORDER BY transcript, position"
                )
            };
        }
        if self.is_postgres() {
            words!("jsonb_array_elements_text($1::text::jsonb)")
        } else {
            words!("value FROM json_each($1)")
        }
    }

    /// The names of the speakers of the calls whose ids are in a JSON array, and a row without a label for each call whose sides
    /// are swapped.
    pub(in crate::store) fn names_of_calls(self) -> &'static str {
        macro_rules! names {
            ($ids:literal) => {
                concat!(
                    "SELECT call_id, label, name FROM speakers WHERE call_id IN (SELECT ",
                    $ids,
                    ") UNION ALL SELECT call_id, CAST(NULL AS TEXT) AS label, CAST(NULL AS TEXT) AS name
                     FROM swapped_calls WHERE call_id IN (SELECT ",
                    $ids,
                    ")"
                )
            };
        }
        if self.is_postgres() {
            names!("jsonb_array_elements_text($1::text::jsonb)")
        } else {
            names!("value FROM json_each($1)")
        }
    }

    /// What is here of recordings, from a JSON array of their SIDs.
    pub(in crate::store) fn recordings_here(self) -> &'static str {
        macro_rules! here {
            ($each:literal) => {
                concat!(
                    "SELECT value AS sid, (SELECT deletion FROM recordings JOIN calls ON calls.id = call_id
                        WHERE recordings.sid = value) AS deletion,
                     (SELECT count(*) FROM transcripts WHERE recording_sid = value AND state <> 'failed') AS made,
                     (SELECT count(*) FROM transcripts WHERE recording_sid = value AND state = 'failed') AS failed FROM ",
                    $each
                )
            };
        }
        if self.is_postgres() {
            here!("jsonb_array_elements_text(CAST($1 AS jsonb)) AS each (value)")
        } else {
            here!("json_each($1)")
        }
    }

    /// What was heard instead of a term, each text once.
    pub(in crate::store) fn heard_instead(self) -> &'static str {
        macro_rules! heard {
            ($each:literal) => {
                concat!("SELECT DISTINCT value->>'heard' AS heard FROM term_uses, ", $each, " WHERE term = $1")
            };
        }
        if self.is_postgres() {
            heard!("jsonb_array_elements(CAST(places AS jsonb)) AS each (value)")
        } else {
            heard!("json_each(places)")
        }
    }

    /// Inserts words of a transcript from a JSON array of objects. The first one is at position `$3`.
    pub(in crate::store) fn insert_words(self) -> &'static str {
        if self.is_postgres() {
            "INSERT INTO words (transcript, position, word, start_ms, end_ms, confidence, speaker, channel)
             SELECT $1, position - 1 + $3, word->>'text', (word->>'start')::bigint, (word->>'end')::bigint,
                 (word->>'confidence')::double precision, word->>'speaker', word->>'channel'
             FROM jsonb_array_elements($2::text::jsonb) WITH ORDINALITY AS each (word, position)"
        } else {
            "INSERT INTO words (transcript, position, word, start_ms, end_ms, confidence, speaker, channel)
             SELECT $1, key + $3, value->>'text', value->>'start', value->>'end',
                 CAST(value->>'confidence' AS REAL), value->>'speaker', value->>'channel'
             FROM json_each($2)"
        }
    }

    /// Whether the number that a call is to, or from, has these last characters, as the indexes of them have it.
    pub(in crate::store) fn number_ends(self) -> [&'static str; 2] {
        if self.is_postgres() {
            ["right(to_number, 4) = ?", "right(from_number, 4) = ?"]
        } else {
            ["substr(to_number, -4) = ?", "substr(from_number, -4) = ?"]
        }
    }

    /// The opposite of the first, also where the call is to no number.
    pub(in crate::store) fn is_not_to_end(self) -> &'static str {
        if self.is_postgres() {
            "(right(to_number, 4) = ?) IS NOT TRUE"
        } else {
            "(substr(to_number, -4) = ?) IS NOT TRUE"
        }
    }

    /// Whether the number at the other end of a call is in a JSON array.
    pub(in crate::store) fn is_party_listed(self) -> &'static str {
        macro_rules! is_listed {
            ($listed:literal) => {
                concat!("CASE WHEN direction = 'outbound' THEN to_number ELSE from_number END ", $listed)
            };
        }
        if self.is_postgres() {
            // A join would not keep the order of the index.
            is_listed!("= ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(CAST(? AS text) AS jsonb))))")
        } else {
            is_listed!("IN (SELECT value FROM json_each(?))")
        }
    }

    /// The terms of a query and of facets as an FTS5 expression; for PostgreSQL, as a tsquery and, on a line each, the patterns
    /// of its phrases. What has the facet `excluded` is left out. Terms hold only letters, digits and the mark of facets, so
    /// nothing needs escaping.
    ///
    /// FTS5 takes the state of a call as one more term and finds the newest matches first. PostgreSQL's index would read
    /// all calls in that state; it uses an index by state and time instead.
    ///
    /// In place of a phrase, one of its `facets` does: those of the contacts and calls that it names. PostgreSQL compares
    /// such a phrase of several terms with regular expressions, which follow after a form feed.
    pub(in crate::store) fn terms(
        self,
        query: &Query,
        facets: &[Vec<String>],
        state: Option<String>,
        others: &[String],
        excluded: Option<String>,
    ) -> String {
        let phrases = || {
            query.phrases().iter().enumerate().map(|(n, phrase)| (phrase, facets.get(n).map_or(&[][..], Vec::as_slice)))
        };
        let star = |is_prefix, star| if is_prefix { star } else { "" };
        if !self.is_postgres() {
            let each = phrases().map(|(phrase, facets)| {
                let said = format!("\"{}\"{}", phrase.terms.join(" "), star(phrase.is_prefix, "*"));
                let facets = facets.iter().map(|facet| format!(" OR \"{facet}\"")).collect::<String>();
                format!("({said}{facets})")
            });
            let filtered = state.iter().chain(others).map(|facet| format!("\"{facet}\""));
            let wanted = each.chain(filtered).collect::<Vec<_>>().join(" AND ");
            return excluded.map_or(wanted.clone(), |facet| format!("({wanted}) NOT \"{facet}\""));
        }
        let mut terms: Vec<String> = others.iter().map(|facet| format!("'{facet}'")).collect();
        terms.extend(excluded.map(|facet| format!("!'{facet}'")));
        let (mut patterns, mut expressions) = (String::new(), Vec::new());
        for (phrase, facets) in phrases() {
            let last = phrase.terms.len() - 1;
            let quoted = |(n, term)| format!("'{term}'{}", star(phrase.is_prefix && n == last, ":*"));
            let said = phrase.terms.iter().enumerate().map(quoted).collect::<Vec<_>>().join(" & ");
            let or_facets = facets.iter().map(|facet| format!(" | '{facet}'")).collect::<String>();
            terms.push(format!("({said}{or_facets})"));
            let text = format!(" {}{}", phrase.terms.join(" "), if phrase.is_prefix { "" } else { " " });
            if last > 0 && facets.is_empty() {
                patterns += &format!("\n%{text}%");
            } else if last > 0 {
                let or_facets = facets.iter().map(|facet| format!("| {facet} ")).collect::<String>();
                expressions.push(text + &or_facets);
            }
        }
        format!("{}{patterns}\u{c}{}", terms.join(" & "), expressions.join("\n"))
    }

    /// The newest transcripts that hold the terms. The index is read first, in its order; texts, which are long, are read
    /// of the result alone. The state and number of the call are compared again, because a facet holds only the end of a
    /// long address. `coalesce` hides that from PostgreSQL's planner, which would count a facet twice in its estimate.
    pub(in crate::store) fn search(self) -> &'static str {
        macro_rules! search {
            ($is_found:ident) => {
                concat!(
                    "SELECT found.*, transcript_id, recording_sid, text,
                     transcripts.checked_at AS transcript_checked_at FROM (",
                    found_in_index!($is_found!()),
                    ") AS found JOIN transcripts ON transcripts.id = found.transcript ORDER BY found.place"
                )
            };
        }
        if self.is_postgres() { search!(matches_in_postgres) } else { search!(matches_in_sqlite) }
    }

    /// The number of transcripts that hold the terms.
    pub(in crate::store) fn count_found(self) -> &'static str {
        macro_rules! count {
            ($is_found:ident) => {
                concat!("SELECT count(*) AS transcripts FROM (", found_in_index!($is_found!()), ") AS found")
            };
        }
        if self.is_postgres() { count!(matches_in_postgres) } else { count!(matches_in_sqlite) }
    }

    /// Deletes a text from the search index. FTS5 stores no texts and needs the deleted one.
    pub(in crate::store) fn delete_from_search_index(self) -> &'static str {
        if self.is_postgres() {
            "DELETE FROM spoken_text WHERE rowid = $1 AND CAST($2 AS TEXT) IS NOT NULL"
        } else {
            "INSERT INTO spoken_text (spoken_text, rowid, said) VALUES ('delete', $1, $2)"
        }
    }

    /// Updates PostgreSQL's statistics of a search index that was just filled; autovacuum would take a minute.
    pub(in crate::store) fn analyze_search_index(self) -> &'static str {
        if self.is_postgres() { "ANALYZE spoken_text" } else { "SELECT 1" }
    }

    /// Words, by a JSON array of pairs of transcript and position.
    pub(in crate::store) fn words_at(self) -> &'static str {
        macro_rules! words {
            ($each:literal) => {
                concat!(
                    "SELECT transcript, word, start_ms FROM words WHERE (transcript, position) IN
                     (SELECT value->>0, CAST(value->>1 AS BIGINT) FROM ",
                    $each,
                    ") AND (SELECT version FROM transcripts WHERE id = transcript) = 0"
                )
            };
        }
        if self.is_postgres() {
            words!("jsonb_array_elements(CAST($1 AS jsonb)) AS each (value)")
        } else {
            words!("json_each($1)")
        }
    }
}
