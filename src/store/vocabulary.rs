//! The vocabulary, and how often its terms were said and heard.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::conn::{Conn, args};
use super::engine::Row;
use super::error::Error;
use crate::model::call::CallId;
use crate::model::job::JobKind;
use crate::model::keyterms::Keyterms;
use crate::model::recording::RecordingSid;
use crate::model::transcript::{OrderId, TranscriptId};
use crate::model::vocabulary::{
    Counts, Scope, Source, Spelling, SpellingState, Term, TermId, TermState, TermText, VOCABULARY, rank,
};

/// The uses of a term that its rank follows from: the newest.
const RANKED_USES: i64 = 200;

/// From a change of the vocabulary until its terms are counted in the first transcript, and from each transcript to the next, in
/// milliseconds. It must not keep calls waiting.
const COUNTED_AFTER: i64 = 4_000;
const COUNTED_EACH: i64 = 200;

/// The last of them are counted this long after the first, however many there are.
const COUNTED_WITHIN: i64 = 60 * 60 * 1_000;

/// The columns of a term. There must be one `FROM terms`.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, term, scope, source, state, made_at, made_by, said, heard, heard_wrongly, corrected, accepted, misheard, spelling FROM terms ",
            $rest
        )
    };
}

/// How often a term was said and heard in one transcript.
#[derive(Debug, Clone, PartialEq)]
pub struct Use {
    pub term: TermId,
    pub counts: Counts,
    pub places: Vec<Misheard>,
}

/// What was heard instead of a term.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Misheard {
    pub heard: String,
    /// In milliseconds from the start of the audio.
    pub at_ms: i64,
}

/// A place in a transcript where a term was misheard.
#[derive(Debug)]
pub struct Example {
    pub misheard: Misheard,
    pub transcript: TranscriptId,
    /// `None` for audio that is no recording of Twilio's.
    pub call: Option<CallId>,
    pub recording: Option<RecordingSid>,
    /// Those of its order, as a JSON object.
    pub parameters: String,
}

/// What becomes of a term of the settings.
#[derive(Debug)]
pub(crate) enum TermChange {
    Add(Term),
    Change(Term),
    Delete(TermId),
}

impl Use {
    /// A term that was neither said nor heard so far.
    pub(crate) fn of(term: TermId) -> Self {
        Self { term, counts: Counts::default(), places: Vec::new() }
    }
}

impl Conn {
    /// Terms in the order of their states and of the alphabet; with `after`, those that follow this one.
    pub async fn terms(
        &mut self,
        state: Option<TermState>,
        term_before: Option<&Term>,
        limit: i64,
    ) -> Result<Vec<Term>, Error> {
        let after = term_before.map(|term| (term.state.as_str(), term.term.lower_case(), term.id.clone()));
        let (in_state, lower_case, id) = match &after {
            Some((state, lower_case, id)) => (*state, lower_case.as_str(), id.as_str()),
            None => ("", "", ""),
        };
        let rows = match state {
            Some(TermState::Proposed) => {
                let sql = select!(
                    "WHERE state = 'proposed' AND (corrected < $1 OR corrected = $1 AND (lower_case, id) > ($2, $3))
                     ORDER BY corrected DESC, lower_case, id LIMIT $4"
                );
                let corrected = term_before.map_or(i64::MAX, |term| term.counts.corrected);
                self.fetch(sql, args![corrected, lower_case, id, limit]).await?
            }
            Some(state) => {
                let sql = select!("WHERE state = $1 AND (lower_case, id) > ($2, $3) ORDER BY lower_case, id LIMIT $4");
                self.fetch(sql, args![state.as_str(), lower_case, id, limit]).await?
            }
            None => {
                let sql =
                    select!("WHERE (state, lower_case, id) > ($1, $2, $3) ORDER BY state, lower_case, id LIMIT $4");
                self.fetch(sql, args![in_state, lower_case, id, limit]).await?
            }
        };
        rows.iter().map(term).collect()
    }

    pub async fn term(&mut self, id: &TermId) -> Result<Option<Term>, Error> {
        self.fetch_one(select!("WHERE id = $1"), args![id.as_str()]).await?.as_ref().map(term).transpose()
    }

    /// The term that this scope has with the same letters, in any case.
    pub(crate) async fn same_term(&mut self, scope: &Scope, text: &TermText) -> Result<Option<Term>, Error> {
        let sql = select!("WHERE scope = $1 AND lower_case = $2");
        let args = args![scope.to_string().as_str(), text.lower_case().as_str()];
        self.fetch_one(sql, args).await?.as_ref().map(term).transpose()
    }

    /// Active terms that were heard more often where they were not said than where they were, or that are for all calls and
    /// were not said in any call checked since `unsaid_since`.
    pub async fn doubtful_terms(&mut self, unsaid_since: i64, limit: i64) -> Result<Vec<Term>, Error> {
        let sql = select!(
            "WHERE state = 'active' AND (heard_wrongly > heard OR scope = 'all' AND said = 0 AND made_at < $1)
             ORDER BY heard_wrongly DESC, lower_case, id LIMIT $2"
        );
        self.fetch(sql, args![unsaid_since, limit]).await?.iter().map(term).collect()
    }

    /// When the checked call began that has this many newer ones, in milliseconds since 1970; 0 if there is none.
    pub async fn checked_call_before(&mut self, newer: i64) -> Result<i64, Error> {
        let sql = "SELECT created_at FROM calls WHERE checked_at IS NOT NULL ORDER BY created_at DESC, id DESC
                   LIMIT 1 OFFSET $1";
        self.fetch_one(sql, args![newer]).await?.map_or(Ok(0), |row| row.int("created_at"))
    }

    /// The most useful active terms of a scope, at most `limit` of them.
    pub(crate) async fn ranked_terms(&mut self, scope: &Scope, limit: i64) -> Result<Keyterms, Error> {
        let sql = "SELECT string_agg(term, '\n' ORDER BY rank DESC, made_at, id) AS ranked
                   FROM (SELECT term, rank, made_at, id FROM terms WHERE scope = $1 AND state = 'active'
                         ORDER BY rank DESC, made_at, id LIMIT $2) AS best";
        let row = self.fetch_one(sql, args![scope.to_string().as_str(), limit]).await?;
        let ranked = row.map_or(Ok(None), |row| row.text_if_set("ranked"))?;
        Ok(Keyterms::from_lines(ranked.as_deref().unwrap_or_default()))
    }

    pub(crate) async fn count_active_terms(&mut self, scope: &Scope) -> Result<i64, Error> {
        let sql = "SELECT terms FROM active_terms WHERE scope = $1";
        self.fetch_one(sql, args![scope.to_string().as_str()]).await?.map_or(Ok(0), |row| row.int("terms"))
    }

    /// The active terms of a scope, in the order in which they were added.
    pub(super) async fn active_terms_of(&mut self, scope: &Scope) -> Result<Keyterms, Error> {
        let sql = "SELECT term FROM terms WHERE scope = $1 AND state = 'active' ORDER BY made_at, id";
        let rows = self.fetch(sql, args![scope.to_string().as_str()]).await?;
        Ok(Keyterms::from_terms(rows.iter().map(|row| row.text("term")).collect::<Result<Vec<_>, _>>()?))
    }

    /// Makes these the active terms of a scope, in this order. What somebody typed and is not among them is deleted; other
    /// terms are retired.
    pub(super) async fn put_active_terms(
        &mut self,
        scope: &Scope,
        terms: &Keyterms,
        by: &str,
        now: i64,
    ) -> Result<(), Error> {
        let mut known = self.known_terms(scope).await?;
        let new: BTreeSet<String> = terms.as_slice().iter().map(|term| term.to_lowercase()).collect();
        if !new.iter().eq(known.keys()) {
            self.count_again(now).await?;
        }
        for (text, made_at) in terms.as_slice().iter().zip(now..) {
            let text = TermText::stored(text.clone());
            match known.remove(&text.lower_case()) {
                Some(same) => {
                    self.change_term(&Term { term: text, state: TermState::Active, made_at, ..same }, now).await?
                }
                None => self.add_term(&Term::typed(text, scope.clone(), by.to_owned(), made_at), now).await?,
            };
        }
        for other in known.into_values().filter(|term| term.state == TermState::Active) {
            match other.source {
                Source::Typed => self.delete_term(&other.id, now).await?,
                _ => _ = self.change_term(&Term { state: TermState::Retired, ..other }, now).await?,
            }
        }
        Ok(())
    }

    /// Returns what must change so that the vocabulary has the terms of both settings. A term that somebody does not want, or
    /// has added, stays as it is.
    pub(crate) async fn changes_of_settings(
        &mut self,
        listed: &Keyterms,
        filed: &Keyterms,
        now: i64,
    ) -> Result<Vec<TermChange>, Error> {
        let of_settings = |source| matches!(source, Source::Setting | Source::File);
        let mut known = self.known_terms(&Scope::All).await?;
        let (mut changes, mut wanted) = (Vec::new(), BTreeSet::new());
        let of =
            |terms: &Keyterms, source| terms.as_slice().iter().map(|term| (term.clone(), source)).collect::<Vec<_>>();
        for ((text, source), made_at) in
            [of(listed, Source::Setting), of(filed, Source::File)].concat().into_iter().zip(now..)
        {
            let text = TermText::stored(text);
            if !wanted.insert(text.lower_case()) {
                continue;
            }
            match known.remove(&text.lower_case()) {
                Some(same) if of_settings(same.source) && same.source != source => {
                    changes.push(TermChange::Change(Term { source, ..same }));
                }
                Some(same) if same.state == TermState::Active || of_settings(same.source) => {}
                Some(same) => changes.push(TermChange::Change(Term { source, state: TermState::Active, ..same })),
                None => {
                    let by = "the settings".to_owned();
                    changes.push(TermChange::Add(Term { source, ..Term::typed(text, Scope::All, by, made_at) }));
                }
            }
        }
        let gone = known.into_values().filter(|term| of_settings(term.source));
        changes.extend(gone.map(|term| TermChange::Delete(term.id)));
        Ok(changes)
    }

    pub(crate) async fn apply_change(&mut self, change: &TermChange, now: i64) -> Result<(), Error> {
        match change {
            TermChange::Add(term) => self.add_term(term, now).await.map(drop),
            TermChange::Change(term) => self.change_term(term, now).await.map(drop),
            TermChange::Delete(id) => self.delete_term(id, now).await,
        }
    }

    /// All terms of a scope, whatever became of them.
    pub(crate) async fn all_terms_of(&mut self, scope: &Scope) -> Result<Vec<Term>, Error> {
        self.fetch(select!("WHERE scope = $1"), args![scope.to_string().as_str()]).await?.iter().map(term).collect()
    }

    /// Opens the jobs that count terms in each transcript that is measured, the newest calls first. For whom changes terms.
    pub(crate) async fn count_again(&mut self, now: i64) -> Result<(), Error> {
        let sql = "INSERT INTO jobs (kind, subject, state, due_at, nudged, attempt, failures, looks, created_at)
                   SELECT $1, transcript, 'open', $2 + CASE WHEN place * $3 < $4 THEN place * $3 ELSE $4 END, 0, 0, 0, 0, $5
                   FROM (SELECT transcript, row_number() OVER (ORDER BY max(at) DESC, transcript) - 1 AS place
                       FROM measures GROUP BY transcript) AS measured
                   WHERE true ON CONFLICT (kind, subject) DO UPDATE SET nudged = 1, reason = NULL, failures = 0, looks = 0,
                   due_at = CASE WHEN jobs.state = 'open' AND jobs.due_at < excluded.due_at THEN jobs.due_at
                   ELSE excluded.due_at END, state = 'open'";
        let kind = JobKind::Counting.as_str();
        let args = args![kind, now + COUNTED_AFTER, COUNTED_EACH, COUNTED_WITHIN, now];
        self.execute(sql, args).await.map(drop)
    }

    /// Deletes all terms of a scope.
    pub(super) async fn delete_scope(&mut self, scope: &Scope, now: i64) -> Result<(), Error> {
        let known = self.known_terms(scope).await?;
        if !known.is_empty() {
            self.count_again(now).await?;
        }
        for term in known.into_values() {
            self.delete_term(&term.id, now).await?;
        }
        Ok(())
    }

    /// The terms of a scope, by their text without case.
    async fn known_terms(&mut self, scope: &Scope) -> Result<BTreeMap<String, Term>, Error> {
        let rows = self.fetch(select!("WHERE scope = $1"), args![scope.to_string().as_str()]).await?;
        rows.iter().map(term).map(|term| term.map(|term| (term.term.lower_case(), term))).collect()
    }

    /// The terms of the settings that somebody does not want.
    pub(crate) async fn unwanted_settings(&mut self) -> Result<Keyterms, Error> {
        let sql = "SELECT term FROM terms WHERE scope = 'all' AND state IN ('rejected', 'retired')
                   AND source IN ('setting', 'file')";
        let terms =
            self.fetch(sql, args![]).await?.iter().map(|row| row.text("term")).collect::<Result<Vec<_>, _>>()?;
        Ok(Keyterms::from_terms(terms))
    }

    /// What AssemblyAI must spell as the active terms of a scope, each with its term.
    pub(crate) async fn spellings_of(&mut self, scope: &Scope) -> Result<Vec<(String, String)>, Error> {
        // With a condition on the state, or with an order, SQLite would read all terms of the scope.
        let sql = "SELECT misheard, term, state FROM terms WHERE scope = $1 AND spelling = 'active'";
        let mut spellings = Vec::new();
        for row in self.fetch(sql, args![scope.to_string().as_str()]).await? {
            if TermState::named(&row.text("state")?) == Some(TermState::Active) {
                spellings.push((row.text("misheard")?, row.text("term")?));
            }
        }
        spellings.sort_unstable();
        Ok(spellings)
    }

    /// Stores a new term. Returns `false` if its scope has it.
    pub(crate) async fn add_term(&mut self, new: &Term, now: i64) -> Result<bool, Error> {
        let sql = "INSERT INTO terms (id, term, lower_case, scope, source, state, made_at, made_by, rank)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";
        let Term { id, term, scope, source, state, made_at, made_by, .. } = new;
        // Somebody who adds a term needs it: that counts as a use. The place in a list is no reason for another rank.
        let rank = rank([(now, 1.0)]);
        let args = args![
            id.as_str(),
            term.as_str(),
            term.lower_case().as_str(),
            scope.to_string().as_str(),
            source.as_str(),
            state.as_str(),
            *made_at,
            made_by.as_str(),
            rank,
        ];
        let added = self.execute(sql, args).await? > 0;
        if added {
            self.note_changed(VOCABULARY, now).await?;
        }
        Ok(added)
    }

    /// Stores a changed term. Returns `false` if there is none with its id.
    pub(crate) async fn change_term(&mut self, changed: &Term, now: i64) -> Result<bool, Error> {
        let sql = "UPDATE terms SET term = $2, lower_case = $3, scope = $4, source = $5, state = $6, made_at = $7,
                   misheard = $8, spelling = $9 WHERE id = $1";
        let Term { id, term, scope, source, state, made_at, spelling, .. } = changed;
        let (lower_case, scope) = (term.lower_case(), scope.to_string());
        let (source, state) = (source.as_str(), state.as_str());
        let misheard = spelling.as_ref().map_or("", |spelling| &spelling.from);
        let spelling = spelling.as_ref().map_or("", |spelling| spelling.state.as_str());
        let (id, term, lower_case, scope) = (id.as_str(), term.as_str(), lower_case.as_str(), scope.as_str());
        let args = args![id, term, lower_case, scope, source, state, *made_at, misheard, spelling];
        let is_there = self.execute(sql, args).await? > 0;
        if is_there {
            self.note_changed(VOCABULARY, now).await?;
        }
        Ok(is_there)
    }

    pub(crate) async fn delete_term(&mut self, id: &TermId, now: i64) -> Result<(), Error> {
        self.lock_terms(std::iter::once(id)).await?;
        self.execute("DELETE FROM term_uses WHERE term = $1", args![id.as_str()]).await?;
        self.execute("DELETE FROM terms WHERE id = $1", args![id.as_str()]).await?;
        self.note_changed(VOCABULARY, now).await
    }

    /// The newest places where a term was misheard, in transcripts that are there.
    pub async fn examples_of(&mut self, term: &TermId, limit: usize) -> Result<Vec<Example>, Error> {
        let sql = "SELECT places, transcript_id, call_id, parameters,
                   CASE WHEN source IS DISTINCT FROM 'upload' THEN recording_sid END AS recording_sid FROM term_uses
                   JOIN transcripts ON transcripts.id = term_uses.transcript
                   LEFT JOIN recordings ON recordings.sid = transcripts.recording_sid
                   WHERE term = $1 AND places <> '[]' AND transcript_id IS NOT NULL ORDER BY at DESC LIMIT $2";
        let rows = self.fetch(sql, args![term.as_str(), limit as i64]).await?;
        let mut examples = Vec::new();
        for row in rows {
            let transcript: TranscriptId =
                row.text("transcript_id")?.parse().map_err(|_| Error::Unreadable("transcripts.transcript_id"))?;
            let call = row
                .text_if_set("call_id")?
                .map(|id| id.parse())
                .transpose()
                .map_err(|_| Error::Unreadable("recordings.call_id"))?;
            let recording = row.text_if_set("recording_sid")?.map(|sid| sid.parse());
            let recording = recording.transpose().map_err(|_| Error::Unreadable("transcripts.recording_sid"))?;
            let parameters = row.text("parameters")?;
            for misheard in places(&row)? {
                let (transcript, call, parameters) = (transcript.clone(), call.clone(), parameters.clone());
                let recording: Option<RecordingSid> = recording.clone();
                examples.push(Example { misheard, transcript, call, recording, parameters });
            }
        }
        examples.truncate(limit);
        Ok(examples)
    }

    /// All that was heard instead of a term, in lower case.
    pub async fn heard_instead_of(&mut self, term: &TermId) -> Result<BTreeSet<String>, Error> {
        let rows = self.fetch(self.dialect().heard_instead(), args![term.as_str()]).await?;
        rows.iter().map(|row| Ok(row.text("heard")?.to_lowercase())).collect()
    }

    /// Stores how often terms were said and heard in a transcript, in place of what was stored of it, with their sums.
    /// Deletes the proposals that no transcript gives a reason for any more. Returns whether any term has changed.
    pub(crate) async fn put_uses(&mut self, order: &OrderId, at: i64, uses: &[Use], now: i64) -> Result<bool, Error> {
        let before = self.terms_used_in(order).await?;
        let terms: BTreeSet<&TermId> = before.iter().chain(uses.iter().map(|one| &one.term)).collect();
        self.lock_terms(terms.iter().copied()).await?;
        self.execute("DELETE FROM term_uses WHERE transcript = $1", args![order.as_str()]).await?;
        for Use { term, counts: Counts { said, heard, heard_wrongly, corrected, accepted }, places } in uses {
            let sql =
                "INSERT INTO term_uses (transcript, term, at, said, heard, heard_wrongly, corrected, places, accepted)
                       SELECT $1, id, $3, $4, $5, $6, $7, $8, $9 FROM terms WHERE id = $2";
            let places = serde_json::to_string(places).unwrap_or_default();
            let args = args![
                order.as_str(),
                term.as_str(),
                at,
                *said,
                *heard,
                *heard_wrongly,
                *corrected,
                places.as_str(),
                *accepted
            ];
            self.execute(sql, args).await?;
        }
        for term in &terms {
            self.sum_uses(term).await?;
            let sql = "DELETE FROM term_uses WHERE term = $1 AND EXISTS (SELECT 1 FROM terms WHERE id = $1
                       AND state = 'proposed' AND source = 'learned' AND corrected = 0 AND accepted = 0)";
            self.execute(sql, args![term.as_str()]).await?;
            let sql = "DELETE FROM terms WHERE id = $1 AND state = 'proposed' AND source = 'learned'
                       AND corrected = 0 AND accepted = 0";
            self.execute(sql, args![term.as_str()]).await?;
        }
        let has_changed = !terms.is_empty();
        if has_changed {
            self.note_changed(VOCABULARY, now).await?;
        }
        Ok(has_changed)
    }

    /// Makes those of these terms active that are proposed and were corrected or accepted at least this often.
    pub(crate) async fn accept_proposals(&mut self, uses: &[Use], after: i64, now: i64) -> Result<(), Error> {
        for Use { term, .. } in uses {
            let sql =
                "UPDATE terms SET state = 'active' WHERE id = $1 AND state = 'proposed' AND corrected + accepted >= $2";
            if self.execute(sql, args![term.as_str(), after]).await? > 0 {
                self.note_changed(VOCABULARY, now).await?;
            }
        }
        Ok(())
    }

    /// In how many transcripts somebody corrected something to a term with this word, at most.
    pub(crate) async fn corrections_to(&mut self, word: &str) -> Result<i64, Error> {
        let sql = "SELECT CAST(coalesce(sum(corrected), 0) AS BIGINT) AS corrections FROM terms
                   WHERE corrected > 0 AND (' ' || lower_case || ' ') LIKE $1 ESCAPE '!'";
        let escaped = word.replace('!', "!!").replace('%', "!%").replace('_', "!_");
        let pattern = format!("% {escaped} %");
        self.fetch_one(sql, args![pattern.as_str()]).await?.map_or(Ok(0), |row| row.int("corrections"))
    }

    /// The proposal whose text differs from this one by hyphens and spaces, or by one letter of many.
    pub(crate) async fn proposal_like(&mut self, text: &TermText) -> Result<Option<TermId>, Error> {
        let sql = select!("WHERE state = 'proposed' AND source = 'learned'");
        for row in self.fetch(sql, args![]).await? {
            let proposed = term(&row)?;
            if proposed.term.is_like(text) {
                return Ok(Some(proposed.id));
            }
        }
        Ok(None)
    }

    async fn terms_used_in(&mut self, order: &OrderId) -> Result<Vec<TermId>, Error> {
        let sql = "SELECT term FROM term_uses WHERE transcript = $1";
        self.fetch(sql, args![order.as_str()]).await?.iter().map(|row| Ok(row.text("term")?.into())).collect()
    }

    /// Keeps other transactions on PostgreSQL from changing these terms until this one ends: what two transactions add to the
    /// uses of a term at the same time, neither would find in its sum. Terms are locked before their uses, and those of one
    /// transaction at once, so that nobody waits in a circle.
    async fn lock_terms(&mut self, terms: impl Iterator<Item = &TermId>) -> Result<(), Error> {
        if !self.has_other_writers() {
            return Ok(());
        }
        let ids = serde_json::to_string(&terms.map(TermId::as_str).collect::<Vec<_>>()).unwrap_or_default();
        self.fetch(self.dialect().lock_terms(), args![ids.as_str()]).await.map(drop)
    }

    /// Locks the terms that were counted in these transcripts.
    pub(super) async fn lock_terms_used_in(&mut self, orders: impl Iterator<Item = &OrderId>) -> Result<(), Error> {
        let mut terms = Vec::new();
        for order in orders {
            terms.extend(self.terms_used_in(order).await?);
        }
        self.lock_terms(terms.iter()).await
    }

    /// Stores the sums over the uses of a term, and its rank.
    async fn sum_uses(&mut self, term: &TermId) -> Result<(), Error> {
        let sql = "SELECT at, said, corrected, accepted, heard, heard_wrongly FROM term_uses WHERE term = $1
                   ORDER BY at DESC LIMIT $2";
        let rows = self.fetch(sql, args![term.as_str(), RANKED_USES]).await?;
        let mut uses =
            rows.iter().map(|row| Ok((row.int("at")?, counts(row)?.weight()))).collect::<Result<Vec<_>, Error>>()?;
        let made_at = self.fetch_one("SELECT made_at FROM terms WHERE id = $1", args![term.as_str()]).await?;
        uses.extend(made_at.map(|row| Ok::<_, Error>((row.int("made_at")?, 1.0))).transpose()?);
        let sql =
            "UPDATE terms SET rank = $2, said = uses.said, heard = uses.heard, heard_wrongly = uses.heard_wrongly,
                   corrected = uses.corrected, accepted = uses.accepted FROM (SELECT CAST(coalesce(sum(said), 0) AS BIGINT) AS said,
                   CAST(coalesce(sum(heard), 0) AS BIGINT) AS heard,
                   CAST(coalesce(sum(heard_wrongly), 0) AS BIGINT) AS heard_wrongly,
                   CAST(coalesce(sum(corrected), 0) AS BIGINT) AS corrected,
                   CAST(coalesce(sum(accepted), 0) AS BIGINT) AS accepted FROM term_uses WHERE term = $1) AS uses
                   WHERE id = $1";
        self.execute(sql, args![term.as_str(), rank(uses)]).await.map(drop)
    }

    /// Deletes what was counted in a transcript.
    pub(super) async fn wipe_uses(&mut self, order: &OrderId, now: i64) -> Result<(), Error> {
        self.put_uses(order, 0, &[], now).await.map(drop)
    }
}

fn places(row: &Row) -> Result<Vec<Misheard>, Error> {
    serde_json::from_str(&row.text("places")?).map_err(|_| Error::Unreadable("term_uses.places"))
}

fn counts(row: &Row) -> Result<Counts, Error> {
    Ok(Counts {
        said: row.int("said")?,
        heard: row.int("heard")?,
        heard_wrongly: row.int("heard_wrongly")?,
        corrected: row.int("corrected")?,
        accepted: row.int("accepted")?,
    })
}

fn term(row: &Row) -> Result<Term, Error> {
    Ok(Term {
        id: row.text("id")?.into(),
        term: TermText::stored(row.text("term")?),
        scope: row.text("scope")?.parse().map_err(|_| Error::Unreadable("terms.scope"))?,
        source: Source::named(&row.text("source")?).ok_or(Error::Unreadable("terms.source"))?,
        state: TermState::named(&row.text("state")?).ok_or(Error::Unreadable("terms.state"))?,
        made_at: row.int("made_at")?,
        made_by: row.text("made_by")?,
        counts: counts(row)?,
        spelling: SpellingState::named(&row.text("spelling")?)
            .map(|state| Ok::<_, Error>(Spelling { from: row.text("misheard")?, state }))
            .transpose()?,
    })
}
