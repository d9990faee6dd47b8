//! How right transcripts are that somebody has corrected or checked.

use std::collections::BTreeMap;

use super::conn::{Conn, args};
use super::engine::Row;
use super::error::Error;
use crate::accuracy::marks::Confidences;
use crate::accuracy::{Edits, TermCounts};
use crate::model::leg::Role;
use crate::model::measure::Reference;
use crate::model::transcript::OrderId;
use crate::model::vocabulary::{Counts, TermId};

/// How right a transcript is, or one channel of it. A text is empty where it is not known.
#[derive(Debug, Clone)]
pub struct Measure {
    pub transcript: String,
    pub channel: String,
    pub reference: Reference,
    /// Whether all of the transcript is checked by ear.
    pub is_whole: bool,
    /// The call's id.
    pub call: String,
    /// When the call was made, or the transcript of other audio, in milliseconds since 1970.
    pub at: i64,
    /// Of a blind check: how much of the audio was typed, in milliseconds.
    pub typed_ms: i64,
    pub model: String,
    /// What tells the list of key terms apart that was sent.
    pub list: String,
    pub side: Option<Role>,
    /// The number at the other end.
    pub contact: String,
    pub language: String,
    pub edits: Edits,
    pub terms: TermCounts,
    pub confidences: Confidences,
}

/// A term that was said or heard.
#[derive(Debug)]
pub struct Said {
    pub id: TermId,
    pub term: String,
    pub counts: Counts,
}

impl Conn {
    /// The measures of calls from `since` to before `before`.
    pub async fn measures(&mut self, since: i64, before: i64) -> Result<Vec<Measure>, Error> {
        let sql =
            "SELECT transcript, channel, reference, is_whole, measures.call_id, at, typed_ms, model, list, contact, language,
                   CASE WHEN swapped_calls.call_id IS NULL OR side = '' THEN side
                   WHEN side = 'operator' THEN 'party' ELSE 'operator' END AS side,
                   hits, substitutions, deletions, insertions, said, heard, heard_wrongly, confidences
                   FROM measures LEFT JOIN swapped_calls ON swapped_calls.call_id = measures.call_id
                   WHERE at >= $1 AND at < $2 ORDER BY at, transcript, channel, reference";
        self.fetch(sql, args![since, before]).await?.iter().map(measure).collect()
    }

    /// The terms that were said or heard most in calls from `since` to before `before`.
    pub async fn said_terms(&mut self, range: Option<(i64, i64)>, limit: i64) -> Result<Vec<Said>, Error> {
        let rows = match range {
            // The sums of all are stored with the terms.
            None => {
                let sql = "SELECT id, term, said, heard, heard_wrongly, corrected FROM terms
                           WHERE said + heard_wrongly + corrected > 0
                           ORDER BY said + heard_wrongly DESC, corrected DESC, lower_case, id LIMIT $1";
                self.fetch(sql, args![limit]).await?
            }
            Some((since, before)) => {
                let sql = "SELECT id, terms.term, used.said, used.heard, used.heard_wrongly, used.corrected FROM (
                           SELECT term, CAST(sum(said) AS BIGINT) AS said, CAST(sum(heard) AS BIGINT) AS heard,
                           CAST(sum(heard_wrongly) AS BIGINT) AS heard_wrongly, CAST(sum(corrected) AS BIGINT) AS corrected
                           FROM term_uses WHERE at >= $1 AND at < $2 GROUP BY term) AS used
                           JOIN terms ON terms.id = used.term
                           WHERE used.said + used.heard_wrongly + used.corrected > 0
                           ORDER BY used.said + used.heard_wrongly DESC, used.corrected DESC, lower_case, id LIMIT $3";
                self.fetch(sql, args![since, before, limit]).await?
            }
        };
        rows.iter().map(said).collect()
    }

    /// Stores the measures of a transcript in place of those that it had.
    pub(crate) async fn put_measures(&mut self, order: &OrderId, measures: &[Measure]) -> Result<(), Error> {
        let sql = "SELECT model, confidences FROM measures WHERE transcript = $1 AND is_whole = 1";
        let rows = self.fetch(sql, args![order.as_str()]).await?;
        self.execute("DELETE FROM measures WHERE transcript = $1", args![order.as_str()]).await?;
        // In the order of their names, so that two transactions never wait for each other.
        let mut changes: BTreeMap<String, (Confidences, Confidences)> = BTreeMap::new();
        for row in rows {
            changes.entry(row.text("model")?).or_default().0 += confidences(&row)?;
        }
        for measure in measures {
            self.add_measure(measure).await?;
            if measure.is_whole {
                changes.entry(measure.model.clone()).or_default().1 += measure.confidences;
            }
        }
        for (model, (gone, new)) in changes {
            self.change_confidences(&model, gone, new).await?;
        }
        Ok(())
    }

    async fn add_measure(&mut self, of: &Measure) -> Result<(), Error> {
        let Edits { hits, substitutions, deletions, insertions } = of.edits;
        let TermCounts { said, heard, wrongly_heard } = of.terms;
        // What a transcript may have fits.
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let sql =
            "INSERT INTO measures (transcript, channel, reference, is_whole, call_id, at, typed_ms, model, list, side,
                   contact, language, hits, substitutions, deletions, insertions, said, heard, heard_wrongly, confidences)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)";
        let args = args![
            of.transcript.as_str(),
            of.channel.as_str(),
            of.reference.as_str(),
            i64::from(of.is_whole),
            of.call.as_str(),
            of.at,
            of.typed_ms,
            of.model.as_str(),
            of.list.as_str(),
            of.side.map_or("", Role::as_str),
            of.contact.as_str(),
            of.language.as_str(),
            number(hits),
            number(substitutions),
            number(deletions),
            number(insertions),
            number(said),
            number(heard),
            number(wrongly_heard),
            of.confidences.to_string().as_str(),
        ];
        self.execute(sql, args).await.map(drop)
    }

    async fn change_confidences(&mut self, model: &str, gone: Confidences, new: Confidences) -> Result<(), Error> {
        // Also keeps others from it until this transaction ends.
        let sql = "INSERT INTO confidences (model, confidences) VALUES ($1, '')
                   ON CONFLICT (model) DO UPDATE SET model = excluded.model RETURNING confidences";
        let row = self.fetch_one(sql, args![model]).await?;
        let mut sums = row.as_ref().map_or_else(|| Ok(Confidences::default()), confidences)?;
        sums += new;
        sums -= gone;
        let sql = "UPDATE confidences SET confidences = $2 WHERE model = $1";
        self.execute(sql, args![model, sums.to_string().as_str()]).await.map(drop)
    }

    /// Words by the confidence that a model had in them, in all transcripts that are checked as a whole.
    pub async fn confidences_of(&mut self, model: &str) -> Result<Confidences, Error> {
        let sql = "SELECT confidences FROM confidences WHERE model = $1";
        self.fetch_one(sql, args![model]).await?.as_ref().map_or_else(|| Ok(Confidences::default()), confidences)
    }

    /// The same of all models, by their names.
    pub async fn all_confidences(&mut self) -> Result<BTreeMap<String, Confidences>, Error> {
        let rows = self.fetch("SELECT model, confidences FROM confidences", args![]).await?;
        rows.iter().map(|row| Ok((row.text("model")?, confidences(row)?))).collect()
    }
}

fn confidences(row: &Row) -> Result<Confidences, Error> {
    row.text("confidences")?.parse().map_err(|_| Error::Unreadable("confidences"))
}

fn measure(row: &Row) -> Result<Measure, Error> {
    let number = |column| Ok::<_, Error>(row.int(column)?.unsigned_abs());
    let reference = Reference::named(&row.text("reference")?).ok_or(Error::Unreadable("measures.reference"))?;
    let side = row.text("side")?;
    Ok(Measure {
        transcript: row.text("transcript")?,
        channel: row.text("channel")?,
        reference,
        is_whole: row.int("is_whole")? == 1,
        call: row.text("call_id")?,
        at: row.int("at")?,
        typed_ms: row.int("typed_ms")?,
        model: row.text("model")?,
        list: row.text("list")?,
        side: [Role::Operator, Role::Party].into_iter().find(|role| role.as_str() == side),
        contact: row.text("contact")?,
        language: row.text("language")?,
        edits: Edits {
            hits: number("hits")?,
            substitutions: number("substitutions")?,
            deletions: number("deletions")?,
            insertions: number("insertions")?,
        },
        terms: TermCounts { said: number("said")?, heard: number("heard")?, wrongly_heard: number("heard_wrongly")? },
        confidences: confidences(row)?,
    })
}

fn said(row: &Row) -> Result<Said, Error> {
    let counts = Counts {
        said: row.int("said")?,
        heard: row.int("heard")?,
        heard_wrongly: row.int("heard_wrongly")?,
        corrected: row.int("corrected")?,
        ..Counts::default()
    };
    Ok(Said { id: row.text("id")?.into(), term: row.text("term")?, counts })
}
