//! `/vocabulary`: the words and phrases that transcripts must get right. A page, and the same as JSON.

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::form_urlencoded;
use utoipa::{IntoParams, ToSchema};

use super::contacts;
use super::error::ApiError;
use super::extract::{Fields, Id, NoFields, NoParameters, Query, read_body, wants_page};
use super::forms::{self, Refused};
use super::pages::{Notices, rfc3339, timestamp};
use super::paging;
use super::reading::length;
use super::response::{page, see_other};
use super::who::{Who, by};
use crate::context::Shared;
use crate::model::name::Name;
use crate::model::vocabulary::{
    BadTerm, Counts, Scope, Source, Spelling, SpellingState, Term, TermId, TermState, TermText,
};
use crate::pipeline;
use crate::pipeline::vocabulary::{self, Change};
use crate::store::{Conn, Example};

/// Terms on one page of the list.
const PAGE: i64 = 200;

/// Maximum size of a body in bytes: a list of a hundred thousand terms.
const LARGEST: usize = 4 << 20;

/// A term that was said in none of this many checked calls is not needed.
const UNSAID_IN: i64 = 50;

/// Doubtful terms that the page shows.
const DOUBTFUL: i64 = 50;

/// Places that are shown of a term.
const EXAMPLES: usize = 10;

/// A term as JSON.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TermView {
    id: String,
    term: String,
    scope: ScopeBody,
    #[schema(value_type = Source, inline)]
    source: &'static str,
    #[schema(value_type = TermState, inline)]
    state: &'static str,
    at: Option<String>,
    by: String,
    /// What was heard instead, the newest first.
    misheard_as: Vec<String>,
    said: i64,
    heard: i64,
    #[serde(rename = "false")]
    heard_wrongly: i64,
    /// How often somebody corrected something else to it.
    corrections: i64,
    /// How often somebody accepted it as right where AssemblyAI was unsure of it.
    accepted: i64,
    examples: Vec<ExampleView>,
    /// Why it should be retired, if it should.
    retire: Option<String>,
    /// What AssemblyAI always hears in its place, and must spell as the term if somebody accepts that.
    custom_spelling: Option<SpellingView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TermSpelling)]
struct SpellingView {
    from: Vec<String>,
    to: String,
    #[schema(value_type = SpellingState, inline)]
    state: &'static str,
}

/// A place where something else was heard.
#[derive(Debug, Serialize, ToSchema)]
struct ExampleView {
    heard: String,
    at_ms: i64,
    transcript: String,
    call: Option<String>,
    /// The address of the recording, from that moment on.
    audio: Option<String>,
}

/// The calls that a term is for. Exactly one of them is set.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Scope)]
struct ScopeBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    all: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
}

/// What the models of the settings take; `None` is no limit.
#[derive(Debug, Serialize, ToSchema)]
struct LimitView {
    model: String,
    terms: Option<usize>,
    words: Option<usize>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TermList {
    terms: Vec<TermView>,
    limit: LimitView,
    /// The address of the next page, if there is one.
    next: Option<String>,
}

/// Terms that were added, or were there.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AddedTerms {
    terms: Vec<TermView>,
}

/// The query of the list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Place {
    #[param(inline, value_type = Option<TermState>)]
    state: String,
    /// How many are on a page.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200)]
    limit: String,
    /// The `next` of the page before.
    #[serde(alias = "after", deserialize_with = "paging::cursor")]
    cursor: String,
}

/// What a client sends to add terms, or to change one.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = TermBody)]
pub(super) struct Sent {
    term: Option<String>,
    /// A list, or a text with one term a line.
    terms: Option<Terms>,
    scope: Option<ScopeBody>,
    state: Option<String>,
    /// What becomes of the spelling: `active`, `rejected`, or `proposed` to undo either.
    custom_spelling: Option<String>,
    /// The fields of a form in place of `scope`.
    contact: Option<String>,
    tag: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = TermTexts)]
enum Terms {
    List(Vec<String>),
    Lines(String),
}

/// The fields of a page's form.
const FIELDS: [&str; 6] = ["term", "terms", "contact", "tag", "state", "custom_spelling"];

#[derive(Template)]
#[template(path = "vocabulary.html", config = "src/web/pages/askama.toml")]
struct VocabularyPage {
    notices: Notices,
    /// The number of the newest change that the page shows.
    since: i64,
    /// Those that wait for somebody, unless they are what is listed.
    proposed: Vec<TermView>,
    /// Those that should be retired.
    doubtful: Vec<TermView>,
    state: TermState,
    list: TermList,
    form: Sent,
    refused: Option<Refused>,
    /// Whether the form was sent before its browser was logged in.
    is_kept: bool,
}

/// Lists the terms: of a state, or of all.
pub(super) async fn list(
    State(context): State<Shared>,
    headers: HeaderMap,
    Query(place): Query<Place>,
) -> Result<Response, ApiError> {
    let expected = || ApiError::BadRequest("state: expected active, proposed, rejected or retired".to_owned());
    let state = match place.state.as_str() {
        "" => None,
        word => Some(TermState::named(word).ok_or_else(expected)?),
    };
    if wants_page(&headers) {
        let state = state.unwrap_or(TermState::Active);
        return show(&context, state, &place).await;
    }
    Ok(Json(listed(&context, state, &place).await?).into_response())
}

async fn show(context: &Shared, state: TermState, place: &Place) -> Result<Response, ApiError> {
    let since = context.store.read().await?.newest_change().await?;
    let list = listed(context, Some(state), place).await?;
    let shown = VocabularyPage::of_form(context, Sent::default());
    if state != TermState::Active || !place.cursor.is_empty() {
        return Ok(page(VocabularyPage { since, state, list, ..shown }.render()));
    }
    let proposed = listed(context, Some(TermState::Proposed), &Place::default()).await?.terms;
    let (mut conn, mut doubtful) = (context.store.read().await?, Vec::new());
    let unsaid_since = unsaid_since(&mut conn).await?;
    for term in conn.doubtful_terms(unsaid_since, DOUBTFUL).await? {
        doubtful.push(TermView::read(&mut conn, term).await?);
    }
    Ok(page(VocabularyPage { since, proposed, doubtful, list, ..shown }.render()))
}

async fn listed(context: &Shared, state: Option<TermState>, place: &Place) -> Result<TermList, ApiError> {
    let size = paging::limit(&place.limit, PAGE)?;
    let mut conn = context.store.read().await?;
    let after = match place.cursor.as_str() {
        "" => None,
        id => Some(conn.term(&TermId::from(id.to_owned())).await?.ok_or_else(super::filter::bad_after)?),
    };
    let mut terms = conn.terms(state, after.as_ref(), size + 1).await?;
    let is_more = paging::cut(&mut terms, size);
    let last = terms.last().filter(|_| is_more);
    let others = [("state", state.map_or("", TermState::as_str)), ("limit", &place.limit)];
    let next = last.map(|last| paging::next("/vocabulary", &others, last.id.as_str()));
    let mut views = Vec::new();
    for term in terms {
        views.push(TermView::read(&mut conn, term).await?);
    }
    Ok(TermList { terms: views, limit: LimitView::of(context), next })
}

/// Adds a term, or a list of them.
pub(super) async fn add(
    State(context): State<Shared>,
    headers: HeaderMap,
    Extension(who): Extension<Who>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let sent = Sent::read(&headers, body).await?;
    let added = async {
        let scope = sent.scope(&context, &headers)?.unwrap_or(Scope::All);
        Ok::<_, ApiError>(vocabulary::add(&context, sent.texts()?, scope, by(&context, &who, &headers)).await?)
    };
    let added = match added.await {
        Ok(_) if wants_page(&headers) => return Ok(see_other("/vocabulary")),
        Err(error) if wants_page(&headers) => return Ok(refused(&context, error, sent)),
        added => added?,
    };
    let status = if added.iter().any(|(_, is_new)| *is_new) { StatusCode::CREATED } else { StatusCode::OK };
    let mut conn = context.store.read().await?;
    let mut views = Vec::new();
    for (term, _) in added {
        views.push(TermView::read(&mut conn, term).await?);
    }
    if sent.terms.is_some() {
        return Ok((status, Json(AddedTerms { terms: views })).into_response());
    }
    Ok((status, Json(views.pop())).into_response())
}

/// Shows the list with a form that was refused.
fn refused(context: &Shared, error: ApiError, form: Sent) -> Response {
    let field = match &error {
        ApiError::Pipeline(pipeline::Error::Term(_) | pipeline::Error::Keyterms(_)) => "terms",
        _ => "contact",
    };
    let context = Shared::clone(context);
    forms::again(error, move |problem| {
        let refused = Some(Refused { field, problem });
        page(VocabularyPage { refused, ..VocabularyPage::of_form(&context, form.clone()) }.render())
    })
}

/// Changes a term: `PATCH`, or a button of the page.
pub(super) async fn change(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<String>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let sent = Sent::read(&headers, body).await?;
    let expected = || ApiError::BadRequest("state: expected active, proposed, rejected or retired".to_owned());
    let state = sent.state.as_deref().map(|word| TermState::named(word).ok_or_else(expected)).transpose()?;
    let term = sent.term.as_deref().map(str::parse::<TermText>).transpose().map_err(pipeline::Error::from)?;
    let expected = || ApiError::BadRequest("custom_spelling: expected active, proposed or rejected".to_owned());
    let spelling = sent.custom_spelling.as_deref();
    let spelling = spelling.map(|word| SpellingState::named(word).ok_or_else(expected)).transpose()?;
    let change = Change { term, scope: sent.scope(&context, &headers)?, state, spelling };
    if wants_page(&headers) {
        let place = place_after(&context, &id, state).await?;
        vocabulary::change(&context, TermId::from(id), change).await?;
        return Ok(see_other(&format!("/vocabulary{place}")));
    }
    let changed = vocabulary::change(&context, TermId::from(id), change).await?;
    let view = TermView::read(&mut context.store.read().await?, changed).await?;
    Ok(Json(view).into_response())
}

/// Returns the part of the page where somebody goes on who gives this state to a term: at the next one of the list that it is in.
async fn place_after(context: &Shared, id: &str, state: Option<TermState>) -> Result<String, ApiError> {
    let mut conn = context.store.read().await?;
    let Some(term) = conn.term(&TermId::from(id.to_owned())).await? else { return Ok(String::new()) };
    if state.is_none_or(|state| state == term.state) {
        return Ok(format!("#term-{id}"));
    }
    let next = conn.terms(Some(term.state), Some(&term), 1).await?;
    Ok(next.first().map(|next| format!("#term-{}", next.id)).unwrap_or_default())
}

/// Deletes a term: `DELETE`, or the button of the page.
pub(super) async fn forget(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<String>,
    _: Query<NoParameters>,
    NoFields: NoFields,
) -> Result<Response, ApiError> {
    vocabulary::forget(&context, TermId::from(id)).await?;
    Ok(if wants_page(&headers) { see_other("/vocabulary") } else { StatusCode::NO_CONTENT.into_response() })
}

/// Shows the form that was sent before its browser was logged in.
pub(super) fn show_again(context: &Shared, form: &[u8]) -> Result<Response, ApiError> {
    let form = Sent::of_fields(Fields::of_form(form), true)?;
    Ok(page(VocabularyPage { is_kept: true, ..VocabularyPage::of_form(context, form) }.render()))
}

impl VocabularyPage {
    /// The form alone.
    fn of_form(context: &Shared, form: Sent) -> Self {
        let list = TermList { terms: Vec::new(), limit: LimitView::of(context), next: None };
        let (notices, state) = (Notices::of(context), TermState::Active);
        Self {
            notices,
            since: 0,
            proposed: Vec::new(),
            doubtful: Vec::new(),
            state,
            list,
            form,
            refused: None,
            is_kept: false,
        }
    }
}

impl LimitView {
    fn of(context: &Shared) -> Self {
        let limit = vocabulary::limit(context);
        let some = |number: usize| (number < usize::MAX).then_some(number);
        // No term has less than one word.
        Self { terms: some(limit.terms.min(limit.words)), words: some(limit.words), model: limit.model }
    }
}

impl TermView {
    async fn read(conn: &mut Conn, term: Term) -> Result<Self, ApiError> {
        let retire = doubt(&term, unsaid_since(conn).await?);
        let custom_spelling = vocabulary::spelling_of(conn, &term).await?.map(|Spelling { from, state }| {
            SpellingView { from: vec![from], to: term.term.to_string(), state: state.as_str() }
        });
        let examples = if term.counts.corrected > 0 { conn.examples_of(&term.id, EXAMPLES).await? } else { Vec::new() };
        let mut misheard_as: Vec<String> = Vec::new();
        for Example { misheard, .. } in &examples {
            if !misheard_as.contains(&misheard.heard) {
                misheard_as.push(misheard.heard.clone());
            }
        }
        Ok(Self {
            id: term.id.to_string(),
            term: term.term.to_string(),
            scope: ScopeBody::of(&term.scope),
            source: term.source.as_str(),
            state: term.state.as_str(),
            at: timestamp(Some(term.made_at)).map(|at| rfc3339(&at)),
            by: term.made_by,
            misheard_as,
            said: term.counts.said,
            heard: term.counts.heard,
            heard_wrongly: term.counts.heard_wrongly,
            corrections: term.counts.corrected,
            accepted: term.counts.accepted,
            examples: examples.into_iter().map(ExampleView::of).collect(),
            retire,
            custom_spelling,
        })
    }

    /// Whether a setting has it, so that it cannot be deleted here.
    fn is_of_setting(&self) -> bool {
        matches!(self.source, "setting" | "file")
    }

    /// Returns the address of a page that finds where `heard` stands in calls, and replaces it by the term.
    fn replace(&self, heard: &str) -> String {
        format!("/replace?{}", encoded(&[("find", heard), ("with", &self.term)]))
    }

    /// Returns the address of a search for the term.
    fn search(&self) -> String {
        format!("/calls?{}", encoded(&[("q", &format!("\"{}\"", self.term))]))
    }
}

/// For people.
pub(super) fn times(count: i64) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

fn encoded(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// The time of the last checked calls: what was added before and was said in none of them is not needed.
async fn unsaid_since(conn: &mut Conn) -> Result<i64, ApiError> {
    Ok(conn.checked_call_before(UNSAID_IN - 1).await?)
}

/// Says why an active term should be retired.
fn doubt(term: &Term, unsaid_since: i64) -> Option<String> {
    let Counts { said, heard, heard_wrongly, .. } = term.counts;
    if term.state != TermState::Active {
        return None;
    }
    if heard_wrongly > heard {
        return Some(format!("heard {} where it was not said, {} where it was", times(heard_wrongly), times(heard)));
    }
    let is_unsaid = term.scope == Scope::All && said == 0 && term.made_at < unsaid_since;
    is_unsaid.then(|| format!("not said in the last {UNSAID_IN} calls that were checked"))
}

impl ExampleView {
    fn of(Example { misheard, transcript, call, recording, .. }: Example) -> Self {
        let at_ms = misheard.at_ms;
        let at = |sid| format!("/recordings/{sid}.wav#t={}.{:03}", at_ms / 1_000, at_ms % 1_000);
        Self {
            heard: misheard.heard,
            at_ms,
            transcript: transcript.to_string(),
            call: call.map(|call| call.to_string()),
            audio: recording.map(at),
        }
    }

    fn clock(&self) -> String {
        length(&(self.at_ms / 1_000))
    }
}

impl ScopeBody {
    fn of(scope: &Scope) -> Self {
        match scope {
            Scope::All => Self { all: Some(true), ..Self::default() },
            Scope::Contact(number) => Self { contact: Some(number.to_string()), ..Self::default() },
            Scope::Tag(tag) => Self { tag: Some(tag.to_string()), ..Self::default() },
        }
    }

    fn read(&self, context: &Shared, headers: &HeaderMap) -> Result<Scope, ApiError> {
        match (self.all, &self.contact, &self.tag) {
            (Some(true), None, None) => Ok(Scope::All),
            (None | Some(false), Some(number), None) => Ok(Scope::Contact(contacts::number(context, headers, number)?)),
            (None | Some(false), None, Some(tag)) => {
                let tag: Name = tag.parse().map_err(|error| ApiError::BadRequest(format!("tag: {error}")))?;
                Ok(Scope::Tag(tag))
            }
            _ => Err(pipeline::Error::from(BadTerm::Scope).into()),
        }
    }
}

impl Sent {
    async fn read(headers: &HeaderMap, body: Body) -> Result<Self, ApiError> {
        Self::of_fields(Fields::read(headers, &read_body(body, LARGEST).await?)?, wants_page(headers))
    }

    /// A page ignores fields that it does not know.
    fn of_fields(fields: Fields, is_page: bool) -> Result<Self, ApiError> {
        let mut fields = fields.into_object()?;
        if is_page {
            fields.retain(|name, _| FIELDS.contains(&name.as_str()));
        }
        let sent = serde_json::from_value(Value::Object(fields));
        sent.map_err(|error: serde_json::Error| ApiError::BadRequest(error.to_string()))
    }

    /// The terms to add. Fails at the first that is none.
    fn texts(&self) -> Result<Vec<TermText>, ApiError> {
        let texts: Vec<&str> = match (&self.term, &self.terms) {
            (Some(term), None) => vec![term],
            (None, Some(Terms::List(terms))) => terms.iter().map(String::as_str).collect(),
            (None, Some(Terms::Lines(lines))) => {
                lines.trim_start_matches('\u{feff}').lines().filter(|line| !line.trim().is_empty()).collect()
            }
            _ => return Err(ApiError::BadRequest("expected term, or a list of terms".to_owned())),
        };
        if texts.is_empty() {
            return Err(pipeline::Error::from(BadTerm::Empty).into());
        }
        let terms = texts.into_iter().map(str::parse).collect::<Result<_, BadTerm>>();
        Ok(terms.map_err(pipeline::Error::from)?)
    }

    /// The scope, if one is given.
    fn scope(&self, context: &Shared, headers: &HeaderMap) -> Result<Option<Scope>, ApiError> {
        let filled = |field: &Option<String>| field.clone().filter(|text| !text.trim().is_empty());
        let of_form = ScopeBody { all: None, contact: filled(&self.contact), tag: filled(&self.tag) };
        let given = match &self.scope {
            Some(scope) => Some(scope),
            None if of_form.contact.is_some() || of_form.tag.is_some() => Some(&of_form),
            None => None,
        };
        given.map(|scope| scope.read(context, headers)).transpose()
    }

    /// The terms as they stand in a form.
    fn typed(&self) -> String {
        match &self.terms {
            None => self.term.clone().unwrap_or_default(),
            Some(Terms::List(terms)) => terms.join("\n"),
            Some(Terms::Lines(lines)) => lines.clone(),
        }
    }
}
