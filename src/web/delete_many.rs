//! `/items/delete?…` and `/contacts/<number>/delete-calls`: a page that says what is deleted where, its button, and a receipt.

use askama::Template;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::contacts::number;
use super::deletions::Counts;
use super::error::ApiError;
use super::extract::{Fields, Id, NoFields, NoParameters, Query, read_body, wants_page};
use super::filter::{Search, ToDelete, time};
use super::items::{self, List};
use super::labels;
use super::pages::Notices;
use super::response::{page, see_other};
use super::view::CallView;
use super::who::Asker;
use crate::context::Shared;
use crate::model::call::{CallState, Kind};
use crate::model::phone::PhoneNumber;
use crate::pipeline::delete_many::{self, Receipt};
use crate::store::Filter;

/// What goes where, and what is left.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReceiptView {
    /// That of the contact whose calls they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    /// `deleting`. Each call's own address tells when it is gone.
    progress: &'static str,
    /// Here, with numbers, key terms and words. Ids and times stay.
    here: Here,
    /// At Twilio: the calls, and all recordings of them. Uploads are not there.
    twilio: AtTwilio,
    /// At AssemblyAI: the transcripts, with their audio.
    assemblyai: AtAssemblyAi,
    calls: Vec<String>,
    left: Vec<LeftView>,
    /// The first of them, and when the oldest and the newest began, for the page.
    #[serde(skip)]
    first: Vec<CallView>,
    #[serde(skip)]
    oldest: Option<Timestamp>,
    #[serde(skip)]
    newest: Option<Timestamp>,
    /// What a request to delete may name, so that nothing else is deleted. `None` of a contact.
    #[serde(skip_serializing_if = "Option::is_none")]
    matches: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeletedHere)]
struct Here {
    calls: usize,
    /// `None` of a contact.
    #[serde(skip_serializing_if = "Option::is_none")]
    uploads: Option<usize>,
    recordings: usize,
    transcripts: usize,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeletedAtTwilio)]
struct AtTwilio {
    calls: usize,
    recordings: usize,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeletedAtAssemblyAi)]
struct AtAssemblyAi {
    transcripts: usize,
}

/// A call that cannot be deleted now.
#[derive(Debug, Serialize, ToSchema)]
struct LeftView {
    call: String,
    reason: String,
}

/// How many of them a page names.
const NAMED: usize = 10;

/// Room for a form with its one field.
const LARGEST: usize = 8 << 10;

#[derive(Template)]
#[template(path = "delete_many.html", config = "src/web/pages/askama.toml")]
struct DeleteManyPage {
    notices: Notices,
    /// The contact whose calls they are, with its name. Otherwise the list is meant.
    contact: Option<(PhoneNumber, Option<String>)>,
    /// Where the form is sent.
    action: String,
    /// The list or the contact.
    back: String,
    /// What the filter of the list says, in words.
    filters: Vec<(&'static str, String)>,
    /// Whether there is an archive, which may have copies of the recordings.
    has_archive: bool,
    receipt: ReceiptView,
}

impl DeleteManyPage {
    /// Such as `2 calls and 1 upload`.
    fn number_of_items(&self) -> String {
        let Here { calls, uploads, .. } = self.receipt.here;
        let counted = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
        match (calls, uploads) {
            (calls, None | Some(0)) => counted(calls, "call"),
            (0, Some(uploads)) => counted(uploads, "upload"),
            (calls, Some(uploads)) => format!("{} and {}", counted(calls, "call"), counted(uploads, "upload")),
        }
    }
}

/// Asks for confirmation. Deletes nothing.
pub(super) async fn ask_of_contact(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(typed): Id<String>,
    _: Query<NoParameters>,
) -> Result<Response, ApiError> {
    let number = number(&context, &headers, &typed)?;
    let receipt = delete_many::extent(&context, &delete_many::with(&number)).await?;
    if !wants_page(&headers) {
        return Ok(Json(ReceiptView::of(Some(&number), receipt)).into_response());
    }
    shown_of_contact(&context, number, receipt).await
}

/// Requests the deletion of all calls of the contact. It goes on in the background.
pub(super) async fn delete_of_contact(
    State(context): State<Shared>,
    headers: HeaderMap,
    Asker(asked): Asker,
    Id(typed): Id<String>,
    _: Query<NoParameters>,
    NoFields: NoFields,
) -> Result<Response, ApiError> {
    let number = number(&context, &headers, &typed)?;
    let receipt = delete_many::delete(&context, delete_many::with(&number), None, asked).await?;
    Ok(requested(&headers, ReceiptView::of(Some(&number), receipt)))
}

async fn shown_of_contact(context: &Shared, number: PhoneNumber, receipt: Receipt) -> Result<Response, ApiError> {
    let contact = context.store.read().await?.contact(&number).await?;
    let (notices, name) = (Notices::of(context), contact.map(|contact| contact.name.to_string()));
    let receipt = ReceiptView::of(Some(&number), receipt);
    let (action, back) = (format!("/contacts/{number}/delete-calls"), format!("/contacts/{number}"));
    let contact = Some((number, name));
    let (filters, has_archive) = (Vec::new(), context.archive.is_some());
    Ok(page(DeleteManyPage { notices, contact, action, back, filters, has_archive, receipt }.render()))
}

/// Tells what the filter of the list would delete, as JSON or on a page that asks for confirmation. Deletes nothing.
pub(super) async fn ask(
    State(context): State<Shared>,
    headers: HeaderMap,
    ToDelete(search): ToDelete,
) -> Result<Response, ApiError> {
    let (search, filter) = matching(&context, search).await?;
    let receipt = ReceiptView::of(None, delete_many::extent(&context, &filter).await?);
    if wants_page(&headers) { shown(&context, &search, receipt) } else { Ok(Json(receipt).into_response()) }
}

/// Requests the deletion of all that match the filter of the list. It goes on in the background.
pub(super) async fn delete(
    State(context): State<Shared>,
    headers: HeaderMap,
    Asker(asked): Asker,
    ToDelete(search): ToDelete,
    body: Body,
) -> Result<Response, ApiError> {
    let (_, filter) = matching(&context, search).await?;
    let deleted = delete_many::delete(&context, filter, seen(&headers, body).await?, asked).await;
    Ok(requested(&headers, ReceiptView::of(None, deleted?)))
}

/// A browser is sent to the page that follows the deletion.
fn requested(headers: &HeaderMap, receipt: ReceiptView) -> Response {
    if wants_page(headers) {
        return see_other(&receipt.counts().address());
    }
    (StatusCode::ACCEPTED, Json(receipt)).into_response()
}

fn shown(context: &Shared, search: &Search, receipt: ReceiptView) -> Result<Response, ApiError> {
    let (action, back) = (search.deletion(), search.address(List::Items.path()));
    let notices = Notices::of(context);
    let filters = in_words(search);
    let has_archive = context.archive.is_some();
    Ok(page(DeleteManyPage { notices, contact: None, action, back, filters, has_archive, receipt }.render()))
}

/// What a filter says, but for its times, which the page shows by what it finds.
fn in_words(search: &Search) -> Vec<(&'static str, String)> {
    let kind = labels::KINDS.iter().find(|(kind, _)| *kind == search.kind.trim()).map(|(_, meaning)| *meaning);
    let state = CallState::named(search.state.trim()).map(labels::state);
    let progress = Some(search.progress.trim()).filter(|progress| !progress.is_empty()).map(labels::progress);
    let checked = match search.checked.trim() {
        "" => None,
        "true" => Some("yes"),
        _ => Some("not yet"),
    };
    let typed = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let said = |word: Option<&str>| word.map(str::to_owned);
    let dollars = |text: &str| typed(text).map(|dollars| format!("${}", dollars.trim_start_matches('$')));
    let seconds = |text: &str| typed(text).map(|seconds| format!("{seconds} seconds"));
    let all = [
        ("the kind", said(kind)),
        ("the progress", said(progress)),
        ("the state", said(state)),
        ("the direction", typed(&search.direction)),
        ("the number", typed(&search.number)),
        ("the contact", typed(&search.contact)),
        ("the tag", typed(&search.tag)),
        ("the import", typed(&search.import)),
        ("checked:", said(checked)),
        ("at least", seconds(&search.min_seconds)),
        ("at most", seconds(&search.max_seconds)),
        ("a cost of at least", dollars(&search.min_cost)),
        ("a cost of at most", dollars(&search.max_cost)),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Reads what somebody has seen that would be deleted, if the request names it.
async fn seen(headers: &HeaderMap, body: Body) -> Result<Option<String>, ApiError> {
    let body = read_body(body, LARGEST).await?;
    if body.is_empty() {
        return Ok(None);
    }
    let mut fields = Fields::read(headers, &body)?.into_object()?;
    match (fields.shift_remove("matches"), fields.keys().next()) {
        (None, None) => Ok(None),
        (Some(Value::String(matches)), None) => Ok(Some(matches)),
        (Some(_), None) => Err(ApiError::BadRequest("matches: expected text".to_owned())),
        (_, Some(other)) => Err(ApiError::BadRequest(format!("there is no field {other:?} here"))),
    }
}

/// Reads what a filter means. It must restrict something, and what was said is none, because not all hits are known at once. It
/// ends now: the page that asks sends back this moment, so that no call that comes later is deleted with those it showed.
async fn matching(context: &Shared, search: Search) -> Result<(Search, Filter), ApiError> {
    if search.is_any() {
        let why = "expected a filter, such as progress=failed; without one, everything would be deleted";
        return Err(ApiError::BadRequest(why.to_owned()));
    }
    // A request with one of these does not mean all that match.
    for (name, value) in [("sort", &search.sort), ("limit", &search.limit), ("cursor", &search.cursor)] {
        if !value.trim().is_empty() {
            return Err(ApiError::BadRequest(format!(
                "{name}: all that match are deleted, whatever their order and number"
            )));
        }
    }
    if !search.q.trim().is_empty() {
        return Err(ApiError::BadRequest("q: what was said cannot say what to delete".to_owned()));
    }
    // Before `until` is replaced: what cannot be read restricts nothing.
    search.filter()?;
    let now = context.clock.now();
    if time("since", &search.since)?.is_some_and(|(first, _)| first > now.as_millisecond()) {
        return Err(ApiError::BadRequest("since: expected a time that has passed".to_owned()));
    }
    let until = match search.last() {
        Some(last) if last <= now => search.until.clone(),
        _ if (Search { until: String::new(), ..search.clone() }).is_any() => {
            let why = "until: expected a time that has passed; with this filter alone, everything would be deleted";
            return Err(ApiError::BadRequest(why.to_owned()));
        }
        _ => now.to_string(),
    };
    let search = Search { until, ..search };
    let filter = items::filter(context, &search, List::Items).await?;
    Ok((search, filter))
}

impl ReceiptView {
    fn of(number: Option<&PhoneNumber>, receipt: Receipt) -> Self {
        let matches = number.is_none().then(|| receipt.matches());
        let Receipt { deleting, left } = receipt;
        let uploads = deleting.iter().filter(|extent| extent.call.kind == Kind::Upload).count();
        let times = || deleting.iter().map(|extent| extent.call.created_at);
        let time = |at: Option<i64>| at.and_then(|at| Timestamp::from_millisecond(at).ok());
        let (oldest, newest) = (time(times().min()), time(times().max()));
        let first = deleting.iter().take(NAMED).map(|extent| CallView::of(&extent.call)).collect();
        let recordings = deleting.iter().map(|extent| extent.recordings).sum();
        let transcripts = deleting.iter().map(|extent| extent.transcripts).sum();
        let at_twilio = || deleting.iter().filter(|extent| extent.call.kind != Kind::Upload);
        let twilio = AtTwilio {
            calls: at_twilio().filter(|extent| extent.call.sid.is_some()).count(),
            recordings: at_twilio().map(|extent| extent.recordings).sum(),
        };
        let left = left
            .iter()
            .map(|(call, why)| LeftView { call: CallView::of(call).name().to_owned(), reason: why.to_string() });
        Self {
            number: number.map(PhoneNumber::to_string),
            progress: "deleting",
            here: Here {
                calls: deleting.len() - uploads,
                uploads: number.is_none().then_some(uploads),
                recordings,
                transcripts,
            },
            first,
            oldest,
            newest,
            twilio,
            assemblyai: AtAssemblyAi { transcripts },
            left: left.collect(),
            matches,
            calls: deleting.iter().map(|extent| CallView::of(&extent.call).name().to_owned()).collect(),
        }
    }

    /// How many of them the page does not name.
    fn others(&self) -> usize {
        self.calls.len() - self.first.len()
    }

    /// How much is deleted where, for the address of the page that follows it.
    fn counts(&self) -> Counts {
        Counts {
            calls: self.here.calls,
            uploads: self.here.uploads.unwrap_or_default(),
            recordings: self.here.recordings,
            transcripts: self.here.transcripts,
            twilio_calls: self.twilio.calls,
            twilio_recordings: self.twilio.recordings,
            left: self.left.len(),
        }
    }
}
