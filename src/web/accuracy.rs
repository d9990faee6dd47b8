//! `/accuracy`: how right the transcripts are that somebody has corrected or checked. A page, and the same as JSON.

use std::collections::BTreeMap;

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::ApiError;
use super::extract::{Query, wants_page};
use super::filter::Search;
use super::pages::Notices;
use super::rates::{KeytermsView, percent};
use super::response::page;
use crate::context::Shared;
use crate::model::measure::{Dimension, Reference};
use crate::pipeline::accuracy::{Blind, Group, NORMALIZATION, TermReport, report};
use crate::store::Filter;

/// The query.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// What figures are grouped by, with commas between.
    #[param(example = "model,contact")]
    by: String,
    /// As for `/calls`.
    since: String,
    until: String,
}

/// The report as JSON.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AccuracyView {
    normalize: &'static str,
    groups: Vec<GroupView>,
    terms: Vec<TermView>,
    blind: BlindView,
}

/// How firm the figures of blind checks are.
#[derive(Debug, Serialize, ToSchema)]
struct BlindView {
    calls: usize,
    minutes: f64,
    /// How many more would make the word error rate firm.
    more_minutes: i64,
    /// The address of a blind check of a random call.
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct GroupView {
    by: BTreeMap<&'static str, Option<String>>,
    #[schema(value_type = Reference, inline)]
    reference: &'static str,
    calls: usize,
    words: u64,
    substitutions: u64,
    deletions: u64,
    insertions: u64,
    /// `None`, because undefined, if nothing was said.
    wer: Option<f64>,
    wer_low: Option<f64>,
    wer_high: Option<f64>,
    keyterms: KeytermsView,
    marks: MarksView,
}

#[derive(Debug, Serialize, ToSchema)]
struct MarksView {
    /// `None` if models with different thresholds are in one group.
    threshold: Option<f64>,
    caught: u64,
    marked: u64,
    wrong: u64,
    catch_rate: Option<f64>,
    precision: Option<f64>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccuracyTerm)]
struct TermView {
    id: String,
    term: String,
    said: i64,
    heard: i64,
    missed: i64,
    #[serde(rename = "false")]
    heard_wrongly: i64,
    /// How often somebody corrected something else to it.
    corrections: i64,
    misheard_as: Vec<String>,
}

#[derive(Template)]
#[template(path = "accuracy.html", config = "src/web/pages/askama.toml")]
struct AccuracyPage {
    notices: Notices,
    asked: Asked,
    by: Vec<Dimension>,
    view: AccuracyView,
}

pub(super) async fn show(
    State(context): State<Shared>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, ApiError> {
    let by = asked.by()?;
    let found = report(&context, by.clone(), asked.range()?).await?;
    let groups = found.groups.into_iter().map(GroupView::of).collect();
    let terms = found.terms.into_iter().map(TermView::of).collect();
    let view = AccuracyView { normalize: NORMALIZATION.as_str(), groups, terms, blind: BlindView::of(found.blind) };
    if !wants_page(&headers) {
        return Ok(Json(view).into_response());
    }
    Ok(page(AccuracyPage { notices: Notices::of(&context), asked, by, view }.render()))
}

impl Asked {
    /// Each dimension once, in the order of the query.
    fn by(&self) -> Result<Vec<Dimension>, ApiError> {
        let mut by = Vec::new();
        for word in self.by.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let dimension = Dimension::named(word).ok_or_else(|| {
                let words = Dimension::ALL.map(Dimension::as_str).join(", ");
                ApiError::BadRequest(format!("by: expected some of {words}, with commas between"))
            })?;
            if !by.contains(&dimension) {
                by.push(dimension);
            }
        }
        Ok(by)
    }

    /// Its range of time, as a search has it.
    fn search(&self) -> Search {
        let Self { since, until, .. } = self.clone();
        Search { since, until, ..Search::default() }
    }

    fn range(&self) -> Result<Option<(i64, i64)>, ApiError> {
        let search = self.search();
        let Filter { since, before, .. } = search.filter()?;
        Ok((!search.is_any()).then_some((since, before)))
    }
}

impl BlindView {
    fn of(Blind { calls, typed_ms, missing_ms, next }: Blind) -> Self {
        let minutes = |ms: i64| ms as f64 / 60_000.0;
        Self {
            calls,
            minutes: minutes(typed_ms),
            // Whole minutes.
            more_minutes: minutes(missing_ms).ceil() as i64,
            next: next.map(|id| format!("/transcript/{id}/blind-check")),
        }
    }

    /// The minutes that were typed, for people.
    fn typed(&self) -> String {
        format!("{:.1}", self.minutes)
    }
}

impl GroupView {
    fn of(group: Group) -> Self {
        let Group { by, reference, calls, edits, interval, terms, marks, has_one_threshold } = group;
        Self {
            by: by.into_iter().map(|(dimension, value)| (dimension.as_str(), value)).collect(),
            reference: reference.as_str(),
            calls,
            words: edits.words(),
            substitutions: edits.substitutions,
            deletions: edits.deletions,
            insertions: edits.insertions,
            wer: edits.rate(),
            wer_low: interval.map(|interval| interval.low),
            wer_high: interval.map(|interval| interval.high),
            keyterms: KeytermsView::of(&terms),
            marks: MarksView {
                threshold: has_one_threshold.then_some(marks.threshold),
                caught: marks.caught,
                marked: marks.marked,
                wrong: marks.wrong,
                catch_rate: marks.catch_rate(),
                precision: marks.precision(),
            },
        }
    }

    /// Returns what a page calls its value of a dimension.
    fn value(&self, dimension: &Dimension) -> &str {
        self.by.get(dimension.as_str()).and_then(Option::as_deref).unwrap_or("not known")
    }

    fn rate(&self) -> String {
        self.wer.map_or_else(|| "undefined: nothing was said".to_owned(), percent)
    }

    fn range(&self) -> String {
        match (self.wer_low, self.wer_high) {
            (Some(low), Some(high)) => format!("{} to {}", percent(low), percent(high)),
            _ => "one call says nothing of others".to_owned(),
        }
    }

    /// Returns what a page calls its reference.
    fn against(&self) -> &'static str {
        match Reference::named(self.reference) {
            Some(Reference::Blind) => "blind checks",
            Some(Reference::Checked) => "checked by ear",
            _ => "corrections: at most this good",
        }
    }
}

impl MarksView {
    fn below(&self) -> String {
        self.threshold.map_or_else(String::new, |threshold| format!(", below {}", percent(threshold)))
    }
}

impl TermView {
    fn of(TermReport { said, misheard_as }: TermReport) -> Self {
        let counts = said.counts;
        Self {
            id: said.id.to_string(),
            term: said.term,
            said: counts.said,
            heard: counts.heard,
            missed: counts.said - counts.heard,
            heard_wrongly: counts.heard_wrongly,
            corrections: counts.corrected,
            misheard_as,
        }
    }
}
