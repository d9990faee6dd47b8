//! `/imports`: brings the recordings that the Twilio account already has here. First it says what that costs; then somebody
//! confirms it, and may pause it, resume it or cancel it.

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::error::ApiError;
use super::extract::{Fields, Id, NoFields, NoParameters, Query, read_body, wants_page, without};
use super::filter::{bad_after, in_order, number_named, time};
use super::forms::{self, Refused};
use super::import_view::{ImportView, LeftOutView, LookView};
use super::pages::Notices;
use super::paging;
use super::response::{page, see_other};
use super::who::{Asker, Who, by, own_key};
use crate::context::Shared;
use crate::model::import::{ImportFilter, ImportId};
use crate::pipeline;
use crate::pipeline::imports::{self, Steering};

/// Maximum size of a body in bytes.
const LARGEST: usize = 64 << 10;

/// Imports on one page of the list.
const PAGE: i64 = 100;

/// What a client asks for. A form has texts in place of numbers.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = ImportBody)]
pub(super) struct Sent {
    since: String,
    until: String,
    number: String,
    min_seconds: Option<i64>,
    max_seconds: Option<i64>,
    channels: Option<i64>,
    /// The id that the import gets.
    id: Option<String>,
    /// Whether to begin it.
    confirm: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ImportList {
    imports: Vec<ImportView>,
    /// The `cursor` of the next page, if there is one.
    next: Option<String>,
}

/// The query of the list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Place {
    /// How many are on a page.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200)]
    limit: String,
    /// The `next` of the page before.
    #[serde(alias = "after", deserialize_with = "paging::cursor")]
    cursor: String,
}

/// What stands in the form.
#[derive(Debug, Clone, Default)]
struct ImportForm {
    since: String,
    until: String,
    number: String,
    min_seconds: String,
    max_seconds: String,
    channels: String,
}

#[derive(Template)]
#[template(path = "imports.html", config = "src/web/pages/askama.toml")]
struct ImportsPage {
    notices: Notices,
    imports: Vec<ImportView>,
    next: Option<String>,
    form: ImportForm,
    refused: Option<Refused>,
}

/// What the import would bring, with the button that confirms it.
#[derive(Template)]
#[template(path = "import_plan.html", config = "src/web/pages/askama.toml")]
struct LookPage {
    notices: Notices,
    look: LookView,
    /// Names and values of the form.
    fields: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "import.html", config = "src/web/pages/askama.toml")]
struct ImportPage {
    notices: Notices,
    import: ImportView,
    since: i64,
}

/// Lists the imports, newest first. The page has the form for another one.
pub(super) async fn list(
    State(context): State<Shared>,
    headers: HeaderMap,
    Query(Place { limit, cursor }): Query<Place>,
) -> Result<Response, ApiError> {
    let limit = paging::limit(&limit, PAGE)?;
    let before = if cursor.is_empty() { None } else { Some(cursor.parse().map_err(|_| bad_after())?) };
    let mut all = match imports::newest(&context, before.as_ref(), limit + 1).await {
        Err(pipeline::Error::NoSuchImport(_)) => return Err(bad_after()),
        all => all?,
    };
    let is_more = paging::cut(&mut all, limit);
    let all: Vec<ImportView> = all.into_iter().map(ImportView::of).collect();
    let next = all.last().filter(|_| is_more).map(|last| last.id.clone());
    if !wants_page(&headers) {
        return Ok(Json(ImportList { imports: all, next }).into_response());
    }
    let (notices, form) = (Notices::of(&context), ImportForm::default());
    Ok(page(ImportsPage { notices, imports: all, next, form, refused: None }.render()))
}

/// Says what an import would bring and cost; with `confirm`, begins it.
pub(super) async fn import(
    State(context): State<Shared>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let fields = Fields::read(&headers, &read_body(body, LARGEST).await?)?;
    let form = ImportForm::of(&fields);
    let imported = async {
        let sent: Sent = fields.parsed(Sent::of_form)?;
        let (id, filter) = (sent.id(&who, &headers)?, sent.filter()?);
        if sent.confirm {
            let asked = without(&sent, &["id", "confirm"]);
            let import = imports::begin(&context, id, &filter, &asked, by(&context, &who, &headers)).await?;
            return answer(&context, &headers, &import.id, StatusCode::CREATED).await;
        }
        // What is confirmed is what was shown: recordings that are made meanwhile are not part of it.
        let until = filter.until.min(context.clock.now_ms());
        let filter = ImportFilter { until, ..filter };
        let look = LookView::of(&id, &filter, imports::look(&context, &filter).await?);
        if !wants_page(&headers) {
            return Ok(Json(look).into_response());
        }
        let fields = sent.fields(&look);
        Ok(page(LookPage { notices: Notices::of(&context), look, fields }.render()))
    };
    match imported.await {
        Err(error) if wants_page(&headers) => {
            let context = Shared::clone(&context);
            Ok(forms::again(error, move |problem| {
                let notices = Notices::of(&context);
                let field = form.wrong_field(&problem.detail);
                let refused = Some(Refused { field, problem });
                page(ImportsPage { notices, imports: Vec::new(), next: None, form: form.clone(), refused }.render())
            }))
        }
        imported => imported,
    }
}

/// Tells how far an import is.
pub(super) async fn show(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<ImportId>,
    _: Query<NoParameters>,
) -> Result<Response, ApiError> {
    let since = context.store.read().await?.newest_change().await?;
    let import = read(&context, &id).await?;
    if !wants_page(&headers) {
        return Ok(Json(import).into_response());
    }
    Ok(page(ImportPage { notices: Notices::of(&context), import, since }.render()))
}

pub(super) async fn pause(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<ImportId>,
    _: Query<NoParameters>,
    _: NoFields,
) -> Result<Response, ApiError> {
    imports::steer(&context, &id, Steering::Pause).await?;
    answer(&context, &headers, &id, StatusCode::OK).await
}

pub(super) async fn resume(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<ImportId>,
    _: Query<NoParameters>,
    _: NoFields,
) -> Result<Response, ApiError> {
    imports::steer(&context, &id, Steering::Resume).await?;
    answer(&context, &headers, &id, StatusCode::OK).await
}

pub(super) async fn cancel(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<ImportId>,
    _: Query<NoParameters>,
    _: NoFields,
) -> Result<Response, ApiError> {
    imports::steer(&context, &id, Steering::Cancel).await?;
    answer(&context, &headers, &id, StatusCode::OK).await
}

/// Orders once more what failed.
pub(super) async fn retry(
    State(context): State<Shared>,
    headers: HeaderMap,
    Asker(asked): Asker,
    Id(id): Id<ImportId>,
    _: Query<NoParameters>,
    _: NoFields,
) -> Result<Response, ApiError> {
    imports::retry(&context, &id, asked).await?;
    answer(&context, &headers, &id, StatusCode::OK).await
}

/// Shows an import after it was changed. A browser goes to its page.
async fn answer(
    context: &Shared,
    headers: &HeaderMap,
    id: &ImportId,
    status: StatusCode,
) -> Result<Response, ApiError> {
    let location = format!("/imports/{id}");
    if wants_page(headers) {
        return Ok(see_other(&location));
    }
    let import = read(context, id).await?;
    if status == StatusCode::CREATED {
        return Ok((status, [(header::LOCATION, location)], Json(import)).into_response());
    }
    Ok((status, Json(import)).into_response())
}

async fn read(context: &Shared, id: &ImportId) -> Result<ImportView, ApiError> {
    let progress = imports::progress(context, id).await?;
    let left_out = imports::left_out(context, id).await?.into_iter().map(LeftOutView::of).collect();
    Ok(ImportView { left_out: Some(left_out), ..ImportView::of(progress) })
}

impl Sent {
    /// Empty fields of a form are as good as none.
    fn of_form(pairs: Vec<(String, String)>) -> Map<String, Value> {
        let mut fields = Map::new();
        for (name, text) in pairs.into_iter().filter(|(_, text)| !text.trim().is_empty()) {
            let value = match &*name {
                "confirm" => Value::Bool(text != "false"),
                "min_seconds" | "max_seconds" | "channels" => {
                    text.trim().parse::<i64>().map_or_else(|_| Value::String(text), Value::from)
                }
                _ => Value::String(text),
            };
            fields.insert(name, value);
        }
        fields
    }

    /// The id that somebody chose by `Idempotency-Key` or got with the cost, or a new one.
    fn id(&self, who: &Who, headers: &HeaderMap) -> Result<ImportId, ApiError> {
        if let Some(id) = &self.id {
            return Ok(id.parse()?);
        }
        Ok(match own_key(who, headers)? {
            Some(key) => imports::id_of(&key),
            None => imports::new_id(),
        })
    }

    fn filter(&self) -> Result<ImportFilter, ApiError> {
        let bad = |why: &str| Err(ApiError::BadRequest(why.to_owned()));
        let Some((since, _)) = time("since", &self.since)? else {
            return bad("since: expected the day or the time from which on recordings are imported");
        };
        let until = time("until", &self.until)?.map_or(i64::MAX, |(_, last)| last);
        in_order(Some(since), Some(until), "until: expected a time after since")?;
        let number = number_named(&self.number)?.map(|number| number.as_str().to_owned());
        let (min_seconds, max_seconds) = (self.min_seconds, self.max_seconds);
        if min_seconds.is_some_and(|least| least < 0) {
            return bad("min_seconds: expected whole seconds");
        }
        if max_seconds.is_some_and(|most| most < min_seconds.unwrap_or(0)) {
            return bad("max_seconds: expected at least min_seconds");
        }
        if self.channels.is_some_and(|channels| ![1, 2].contains(&channels)) {
            return bad("channels: expected 1 or 2");
        }
        Ok(ImportFilter { since, until, number, min_seconds, max_seconds, channels: self.channels })
    }

    /// The fields of the form that confirms what was looked at.
    fn fields(&self, look: &LookView) -> Vec<(&'static str, String)> {
        let until = look.filter.until.as_ref().map_or_else(|| self.until.clone(), Timestamp::to_string);
        let mut fields = vec![
            ("id", look.id.clone()),
            ("confirm", "true".to_owned()),
            ("since", self.since.clone()),
            ("until", until),
            ("number", self.number.clone()),
        ];
        fields.extend(self.min_seconds.map(|seconds| ("min_seconds", seconds.to_string())));
        fields.extend(self.max_seconds.map(|seconds| ("max_seconds", seconds.to_string())));
        fields.extend(self.channels.map(|channels| ("channels", channels.to_string())));
        fields
    }
}

impl ImportForm {
    /// What was typed, to be shown again.
    fn of(fields: &Fields) -> Self {
        let Fields::Form(pairs) = fields else { return Self::default() };
        let text = |wanted: &str| {
            let found = pairs.iter().find(|(name, _)| name == wanted);
            found.map(|(_, text)| text.clone()).unwrap_or_default()
        };
        Self {
            since: text("since"),
            until: text("until"),
            number: text("number"),
            min_seconds: text("min_seconds"),
            max_seconds: text("max_seconds"),
            channels: text("channels"),
        }
    }

    /// The field that a problem begins with, or an empty name.
    fn wrong_field(&self, detail: &str) -> &'static str {
        let named = detail.split_once(':').map_or("", |(name, _)| name);
        ["since", "until", "number", "min_seconds", "max_seconds", "channels"]
            .into_iter()
            .find(|field| *field == named)
            .unwrap_or_default()
    }
}
