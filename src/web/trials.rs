//! `/trials`: transcribes recordings again in other ways, to compare them or to replace what there is. First it says what that
//! costs; then somebody confirms it.

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use super::error::{ApiError, Problem};
use super::extract::{Fields, Id, NoFields, NoParameters, Query, of_object, read_body, wants_page, without};
use super::filter::{FilterBody, bad_after};
use super::forms::{self, Refused};
use super::pages::Notices;
use super::paging;
use super::response::{page, see_other};
use super::trial_result::TrialView;
use super::trial_view::{PlanView, TrialRow};
use super::who::{Asker, Who, by, own_key};
use crate::context::Shared;
use crate::model::call::CallName;
use crate::model::keyterms::Keyterms;
use crate::model::trial::{TrialId, TrialKind};
use crate::model::vocabulary::TermId;
use crate::pipeline::retry::retry_trial;
use crate::pipeline::trials::{self, Begun, Selection, Wanted};

/// Maximum size of a body in bytes.
const LARGEST: usize = 2 << 20;

/// Maximum number of arms.
const MOST_ARMS: usize = 8;

/// Maximum length of a model's name, and of a prompt, in bytes.
const LONGEST_MODEL: usize = 64;
const LONGEST_PROMPT: usize = 16_000;

/// Seconds until the page of a trial that still runs is loaded again.
const LOOK_AGAIN: u64 = 5;

/// Trials on one page of the list.
const PAGE: i64 = 100;

/// What a client asks for. A form has the fields of the filter beside the others, and texts in place of lists.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = TrialBody)]
pub(super) struct Sent {
    calls: Option<Vec<String>>,
    filter: Option<FilterBody>,
    /// The id of a term of the vocabulary: the calls in which something stands that was heard instead.
    term: Option<String>,
    speech_models: Option<Vec<String>>,
    keyterms: Option<Vec<String>>,
    prompt: Option<String>,
    /// With today's settings and vocabulary, to replace the transcripts.
    again: bool,
    /// The id that the trial gets.
    id: Option<String>,
    /// Whether to begin it.
    confirm: bool,
    /// The checksum of the plan that is confirmed.
    plan: Option<String>,
}

/// The query of the page: which calls its form begins with.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Options {
    pub(super) q: String,
    pub(super) number: String,
    pub(super) checked: String,
    pub(super) since: String,
    pub(super) until: String,
    /// How many are on a page.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200)]
    pub(super) limit: String,
    /// The `next` of the page before.
    #[serde(alias = "after", deserialize_with = "paging::cursor")]
    pub(super) cursor: String,
}

/// What stands in the form.
#[derive(Debug, Clone, Default)]
pub(super) struct TrialForm {
    pub(super) calls: Options,
    pub(super) speech_models: String,
    /// `own` if only the terms of the form are sent.
    pub(super) list: String,
    pub(super) keyterms: String,
    pub(super) prompt: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TrialList {
    trials: Vec<TrialRow>,
    /// The `cursor` of the next page, if there is one.
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "trials.html", config = "src/web/pages/askama.toml")]
struct TrialsPage {
    notices: Notices,
    trials: Vec<TrialRow>,
    next: Option<String>,
    form: TrialForm,
    refused: Option<Refused>,
}

/// What the trial would do, with the button that confirms it.
#[derive(Template)]
#[template(path = "trial_plan.html", config = "src/web/pages/askama.toml")]
struct PlanPage {
    notices: Notices,
    plan: PlanView,
    /// Why the plan that was confirmed is not carried out.
    refused: Option<Problem>,
    /// Names and values of the form.
    fields: Vec<(&'static str, String)>,
}

/// The query of a trial.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Place {
    /// How many recordings are on a page.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200)]
    limit: String,
    /// The `next` of the page before.
    #[serde(alias = "after", deserialize_with = "paging::cursor")]
    cursor: String,
}

#[derive(Template)]
#[template(path = "trial.html", config = "src/web/pages/askama.toml")]
struct TrialPage {
    notices: Notices,
    view: TrialView,
    /// The newest row of the history when the page was written.
    since: i64,
    /// For browsers without scripts.
    refresh: Option<u64>,
}

/// Lists the trials, newest first. The page has the form for another one.
pub(super) async fn list(
    State(context): State<Shared>,
    headers: HeaderMap,
    Query(options): Query<Options>,
) -> Result<Response, ApiError> {
    let limit = paging::limit(&options.limit, PAGE)?;
    let mut conn = context.store.read().await?;
    let before = match options.cursor.as_str() {
        "" => None,
        id => Some(conn.trial(&id.parse().map_err(|_| bad_after())?).await?.ok_or_else(bad_after)?),
    };
    let mut trials = conn.trials(before.as_ref(), limit + 1).await?;
    let next = paging::cut(&mut trials, limit).then(|| trials.last().map(|last| last.id.to_string())).flatten();
    let mut rows = Vec::new();
    for trial in trials {
        let (size, progress) = (conn.trial_size(&trial.id).await?, conn.trial_progress(&trial.id).await?);
        rows.push(TrialRow::of(&trial, size, &progress));
    }
    drop(conn);
    if !wants_page(&headers) {
        return Ok(Json(TrialList { trials: rows, next }).into_response());
    }
    let form = TrialForm { calls: options, ..TrialForm::default() };
    Ok(page(TrialsPage { notices: Notices::of(&context), trials: rows, next, form, refused: None }.render()))
}

/// Says what a trial would do and cost; with `confirm`, begins it.
pub(super) async fn try_out(
    State(context): State<Shared>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let fields = Fields::read(&headers, &read_body(body, LARGEST).await?)?;
    let form = TrialForm::of(&fields);
    let tried = async {
        let sent: Sent = fields.parsed(Sent::of_form)?;
        let (id, wanted) = (sent.id(&who, &headers)?, sent.wanted()?);
        if sent.confirm {
            let (confirmed, by) = (sent.plan.as_deref(), by(&context, &who, &headers));
            return match trials::begin(&context, id.clone(), &wanted, confirmed, by).await? {
                Begun::Trial(trial) => answer(&context, &headers, trial.id, StatusCode::CREATED).await,
                Begun::OtherPlan(plan) if wants_page(&headers) => {
                    Ok(other_plan(&context, &sent, PlanView::of(&id, plan)))
                }
                Begun::OtherPlan(plan) => Err(ApiError::OtherPlan(Box::new(PlanView::of(&id, plan)))),
            };
        }
        let plan = PlanView::of(&id, trials::plan(&context, &wanted).await?);
        if !wants_page(&headers) {
            return Ok(Json(plan).into_response());
        }
        // What is confirmed is what was shown: these calls, even if others match by then.
        let fields = sent.fields(&plan);
        Ok(page(PlanPage { notices: Notices::of(&context), plan, refused: None, fields }.render()))
    };
    match tried.await {
        Err(error) if wants_page(&headers) => {
            let context = Shared::clone(&context);
            Ok(forms::again(error, move |problem| {
                let (notices, form, refused) =
                    (Notices::of(&context), form.clone(), Some(Refused { field: "", problem }));
                page(TrialsPage { notices, trials: Vec::new(), next: None, form, refused }.render())
            }))
        }
        tried => tried,
    }
}

/// Refuses to carry out a plan that is another one by now. The browser shows that one, which may be confirmed.
fn other_plan(context: &Shared, sent: &Sent, plan: PlanView) -> Response {
    let (context, fields) = (Shared::clone(context), sent.fields(&plan));
    forms::again(ApiError::OtherPlan(Box::new(plan.clone())), move |problem| {
        let (notices, plan, fields) = (Notices::of(&context), plan.clone(), fields.clone());
        page(PlanPage { notices, plan, refused: Some(problem), fields }.render())
    })
}

/// Tells how far a trial is and what it has shown.
pub(super) async fn show(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<TrialId>,
    Query(Place { limit, cursor }): Query<Place>,
) -> Result<Response, ApiError> {
    let since = context.store.read().await?.newest_change().await?;
    let view = TrialView::read(&context, &id, &cursor, &limit).await?;
    if !wants_page(&headers) {
        return Ok(Json(view).into_response());
    }
    let refresh = (view.is_running() || view.is_choosing()).then_some(LOOK_AGAIN);
    Ok(page(TrialPage { notices: Notices::of(&context), view, since, refresh }.render()))
}

/// Stops a trial.
pub(super) async fn stop(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<TrialId>,
    _: Query<NoParameters>,
    _: NoFields,
) -> Result<Response, ApiError> {
    trials::stop(&context, &id).await?;
    answer(&context, &headers, id, StatusCode::OK).await
}

/// Retries what failed in a trial.
pub(super) async fn retry(
    State(context): State<Shared>,
    headers: HeaderMap,
    Asker(asked): Asker,
    Id(id): Id<TrialId>,
    _: Query<NoParameters>,
    _: NoFields,
) -> Result<Response, ApiError> {
    retry_trial(&context, &id, asked).await?;
    answer(&context, &headers, id, StatusCode::ACCEPTED).await
}

/// Which arm becomes current.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChoiceBody {
    arm: usize,
}

/// Begins to make the transcripts of an arm the current ones of their recordings.
pub(super) async fn choose(
    State(context): State<Shared>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    Id(id): Id<TrialId>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let mut fields = Fields::read(&headers, &read_body(body, LARGEST).await?)?.into_object()?;
    // As a form has it.
    if let Some(arm) = fields.get("arm").and_then(Value::as_str).and_then(|text| text.parse::<usize>().ok()) {
        fields.insert("arm".to_owned(), json!(arm));
    }
    let choice: ChoiceBody = of_object(fields)?;
    trials::choose(&context, &id, Some(choice.arm), by(&context, &who, &headers)).await?;
    answer(&context, &headers, id, StatusCode::ACCEPTED).await
}

/// Begins to make those current that there were before.
pub(super) async fn undo(
    State(context): State<Shared>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    Id(id): Id<TrialId>,
    _: Query<NoParameters>,
    _: NoFields,
) -> Result<Response, ApiError> {
    trials::choose(&context, &id, None, by(&context, &who, &headers)).await?;
    answer(&context, &headers, id, StatusCode::ACCEPTED).await
}

/// Shows a trial after it was changed. A browser goes to its page.
async fn answer(context: &Shared, headers: &HeaderMap, id: TrialId, status: StatusCode) -> Result<Response, ApiError> {
    let location = format!("/trials/{id}");
    if wants_page(headers) {
        return Ok(see_other(&location));
    }
    let view = TrialView::read(context, &id, "", "").await?;
    if status != StatusCode::OK {
        return Ok((status, [(header::LOCATION, location)], Json(view)).into_response());
    }
    Ok((status, Json(view)).into_response())
}

impl Sent {
    /// Empty fields of a form are as good as none.
    fn of_form(pairs: Vec<(String, String)>) -> Map<String, Value> {
        let (mut fields, mut filter, mut own_list, mut keyterms) = (Map::new(), Map::new(), None, Vec::new());
        let list = |text: &str, separators: &[char]| -> Vec<String> {
            text.split(separators).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        for (name, text) in pairs {
            match &*name {
                "q" | "state" | "number" | "checked" | "since" | "until" => {
                    filter.insert(name, Value::String(text));
                }
                "again" | "confirm" => {
                    fields.insert(name, Value::Bool(text != "false"));
                }
                "list" => own_list = Some(text),
                "keyterms" => keyterms = list(&text, &[',', '\n', '\r']),
                _ if text.trim().is_empty() => {}
                "calls" => {
                    fields.insert(name, json!(text.split_whitespace().collect::<Vec<_>>()));
                }
                "speech_models" => {
                    fields.insert(name, json!(list(&text, &[',', ' ', '\n', '\r'])));
                }
                _ => {
                    fields.insert(name, Value::String(text));
                }
            }
        }
        match own_list.as_deref() {
            Some("own") => _ = fields.insert("keyterms".to_owned(), json!(keyterms)),
            Some("none") => _ = fields.insert("keyterms".to_owned(), json!([])),
            _ => {}
        }
        if !fields.contains_key("calls") && !fields.contains_key("term") {
            fields.insert("filter".to_owned(), Value::Object(filter));
        }
        fields
    }

    /// The id that somebody chose by `Idempotency-Key` or got with the cost, or a new one.
    fn id(&self, who: &Who, headers: &HeaderMap) -> Result<TrialId, ApiError> {
        if let Some(id) = &self.id {
            return Ok(id.parse()?);
        }
        let id = match own_key(who, headers)? {
            Some(key) => trials::id_of(&key),
            None => trials::new_id(),
        };
        Ok(id)
    }

    fn wanted(&self) -> Result<Wanted, ApiError> {
        let bad = |why: &str| ApiError::BadRequest(why.to_owned());
        let calls = match (&self.calls, &self.filter, &self.term) {
            (Some(calls), None, None) if calls.is_empty() => return Err(bad("calls: expected at least one")),
            (Some(calls), None, None) => {
                Selection::Calls(calls.iter().map(|name| name.parse::<CallName>()).collect::<Result<_, _>>()?)
            }
            (None, Some(filter), None) => Selection::Matching(filter.filter()?, filter.q.clone()),
            (None, None, Some(term)) => Selection::MisheardTerm(TermId::from(term.clone())),
            _ => return Err(bad("expected calls, filter or term; {} as a filter stands for all calls")),
        };
        let is_changed = self.speech_models.is_some() || self.keyterms.is_some() || self.prompt.is_some();
        if !is_changed && !self.again {
            return Err(bad(
                "expected what is different: speech_models, keyterms or prompt; or again, for today's settings",
            ));
        }
        let models = self.speech_models.as_deref().unwrap_or(&[]);
        let is_name = |model: &String| {
            (1..=LONGEST_MODEL).contains(&model.len()) && model.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let is_twice = |(at, model): (usize, &String)| models[..at].contains(model);
        if self.speech_models.is_some() && models.is_empty() || !models.iter().all(is_name) {
            return Err(bad("speech_models: expected names of speech models, each of which is tried"));
        }
        if models.len() > MOST_ARMS || models.iter().enumerate().any(is_twice) {
            return Err(ApiError::BadRequest(format!("speech_models: expected at most {MOST_ARMS} different ones")));
        }
        let prompt = self.prompt.as_deref().map(str::trim);
        if prompt.is_some_and(|prompt| prompt.is_empty() || prompt.len() > LONGEST_PROMPT) {
            return Err(ApiError::BadRequest(format!("prompt: expected a text of at most {LONGEST_PROMPT} bytes")));
        }
        Ok(Wanted {
            kind: if self.again { TrialKind::Again } else { TrialKind::Trial },
            calls,
            speech_models: self.speech_models.clone(),
            keyterms: self.keyterms.as_ref().map(Keyterms::from_terms),
            prompt: prompt.map(str::to_owned),
            asked: without(self, &["id", "confirm", "plan"]),
        })
    }

    /// The fields of the form that confirms the plan.
    fn fields(&self, plan: &PlanView) -> Vec<(&'static str, String)> {
        let mut fields = vec![("id", plan.id.clone()), ("confirm", "true".to_owned()), ("plan", plan.plan.clone())];
        fields.push(("calls", plan.names.join(" ")));
        fields.extend(self.speech_models.as_ref().map(|models| ("speech_models", models.join(","))));
        if let Some(keyterms) = &self.keyterms {
            fields.extend([("list", "own".to_owned()), ("keyterms", keyterms.join("\n"))]);
        }
        fields.extend(self.prompt.as_ref().map(|prompt| ("prompt", prompt.clone())));
        fields.extend(self.again.then(|| ("again", "true".to_owned())));
        fields
    }
}

impl TrialForm {
    /// What was typed, to be shown again.
    fn of(fields: &Fields) -> Self {
        let Fields::Form(pairs) = fields else { return Self::default() };
        let text = |wanted: &str| {
            let found = pairs.iter().find(|(name, _)| name == wanted);
            found.map(|(_, text)| text.clone()).unwrap_or_default()
        };
        let (q, number, checked) = (text("q"), text("number"), text("checked"));
        Self {
            calls: Options { q, number, checked, since: text("since"), until: text("until"), ..Options::default() },
            speech_models: text("speech_models"),
            list: text("list"),
            keyterms: text("keyterms"),
            prompt: text("prompt"),
        }
    }
}
