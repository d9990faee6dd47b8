//! `/contacts`: names for numbers, with the key terms of their calls. Each contact has a page and the same as JSON.

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::error::ApiError;
use super::extract::{Fields, Id, NoFields, NoParameters, Query, read_body, wants_page};
use super::forms::{self, Refused};
use super::pages::Notices;
use super::paging;
use super::response::{page, see_other};
use super::view::calls_with;
use super::who::{Who, by};
use crate::context::Shared;
use crate::model::contact::{BadContact, Contact};
use crate::model::dollars::Dollars;
use crate::model::keyterms::Keyterms;
use crate::model::name::{BadName, Name};
use crate::model::phone::PhoneNumber;
use crate::model::typed_number::TypedNumber;
use crate::pipeline;
use crate::pipeline::contacts::{self, Change};

/// Contacts on one page of the list.
const PAGE: i64 = 100;

/// Room for a name, notes, and a thousand key terms.
const LARGEST_BODY: usize = 128 << 10;

/// A contact as JSON, which is also what `PUT` takes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ContactView {
    number: String,
    name: String,
    keyterms: Vec<String>,
    notes: String,
}

/// A page of the contacts.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct ContactList {
    contacts: Vec<ContactView>,
    /// The address of the next page, if there is one.
    next: Option<String>,
}

/// What a client sends of a contact, as JSON or as a form.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = ContactBody)]
pub(super) struct Sent {
    number: Option<String>,
    name: Option<String>,
    keyterms: Option<Terms>,
    notes: Option<String>,
    /// The page of the call on which a form stood.
    #[serde(skip)]
    back: Option<String>,
}

/// The fields of a page's form.
const FIELDS: [&str; 4] = ["number", "name", "keyterms", "notes"];

/// A list, or a text with commas.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
enum Terms {
    List(Vec<String>),
    Text(String),
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

#[derive(Template)]
#[template(path = "contacts.html", config = "src/web/pages/askama.toml")]
struct ContactsPage {
    notices: Notices,
    list: ContactList,
    form: Sent,
    refused: Option<Refused>,
    /// Whether the form was sent before its browser was logged in.
    is_kept: bool,
}

#[derive(Template)]
#[template(path = "contact.html", config = "src/web/pages/askama.toml")]
struct ContactPage {
    notices: Notices,
    number: PhoneNumber,
    /// The stored name, if there is one.
    name: Option<String>,
    /// What is known to be paid for its calls.
    cost: Option<Dollars>,
    form: Sent,
    refused: Option<Refused>,
    /// Whether the form was sent before its browser was logged in.
    is_kept: bool,
}

/// Lists the contacts in the order of their names.
pub(super) async fn list(
    State(context): State<Shared>,
    headers: HeaderMap,
    Query(Place { limit, cursor }): Query<Place>,
) -> Result<Response, ApiError> {
    let size = paging::limit(&limit, PAGE)?;
    let mut conn = context.store.read().await?;
    let after = match cursor.as_str() {
        "" => None,
        number => {
            let number = number.parse().map_err(|_| super::filter::bad_after())?;
            Some(conn.contact(&number).await?.ok_or_else(super::filter::bad_after)?)
        }
    };
    let mut contacts = conn.contacts(after.as_ref(), size + 1).await?;
    drop(conn);
    let is_more = paging::cut(&mut contacts, size);
    let last = contacts.last().filter(|_| is_more);
    let next = last.map(|last| paging::next("/contacts", &[("limit", &limit)], &last.number.to_string()));
    let list = ContactList { contacts: contacts.into_iter().map(ContactView::of).collect(), next };
    if !wants_page(&headers) {
        return Ok(Json(list).into_response());
    }
    let (notices, form, refused) = (Notices::of(&context), Sent::default(), None);
    Ok(page(ContactsPage { notices, list, form, refused, is_kept: false }.render()))
}

/// Names a number that the body names: a form, or JSON.
pub(super) async fn add(
    State(context): State<Shared>,
    headers: HeaderMap,
    Extension(who): Extension<Who>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let form = Sent::read(&headers, body).await?;
    let stored = async {
        let number = number(&context, &headers, form.number.as_deref().unwrap_or_default())?;
        // The form may be about a contact whose key terms and notes it does not show.
        Ok(contacts::change(&context, number, form.without_blanks().change()?, by(&context, &who, &headers)).await?)
    };
    match stored.await {
        Ok(_) if wants_page(&headers) => Ok(see_other("/contacts")),
        Err(error) if wants_page(&headers) => {
            let field = field(&error, "number");
            Ok(forms::again(error, move |problem| {
                let (notices, list, form) = (Notices::of(&context), ContactList::default(), form.clone());
                let refused = Some(Refused { field, problem });
                page(ContactsPage { notices, list, form, refused, is_kept: false }.render())
            }))
        }
        stored => changed(stored?),
    }
}

/// One contact. The page of a number without a name offers to name it.
pub(super) async fn show(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(typed): Id<String>,
    _: Query<NoParameters>,
) -> Result<Response, ApiError> {
    let number = number(&context, &headers, &typed)?;
    let mut conn = context.store.read().await?;
    let contact = conn.contact(&number).await?;
    if wants_page(&headers) {
        let cost = conn.cost_with(&number.to_string()).await?;
        let (notices, name, form) = (Notices::of(&context), name_of(contact.as_ref()), Sent::of(contact));
        return Ok(page(ContactPage { notices, number, name, cost, form, refused: None, is_kept: false }.render()));
    }
    let contact = contact.ok_or_else(|| pipeline::Error::NoSuchContact(number.to_string()))?;
    Ok(Json(ContactView::of(contact)).into_response())
}

/// Stores a contact in place of the one that has the number.
pub(super) async fn put(
    State(context): State<Shared>,
    headers: HeaderMap,
    Extension(who): Extension<Who>,
    Id(typed): Id<String>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let sent = Sent::read(&headers, body).await?;
    let number = number(&context, &headers, &typed)?;
    let is_it = |other: &&str| self::number(&context, &headers, other).is_ok_and(|other| other == number);
    if let Some(other) = sent.number.as_deref().filter(|other| !is_it(other)) {
        return Err(ApiError::BadRequest(format!("number: expected {number}, as in the URL, or none; not {other}")));
    }
    let Change { name, keyterms, notes } = sent.change()?;
    let name = Some(name.ok_or_else(|| pipeline::Error::from(BadContact::from(BadName::Empty)))?);
    let (keyterms, notes) = (Some(keyterms.unwrap_or_default()), Some(notes.unwrap_or_default()));
    let by = by(&context, &who, &headers);
    changed(contacts::change(&context, number, Change { name, keyterms, notes }, by).await?)
}

/// Changes what a form or JSON has of a contact, and leaves the rest of it.
pub(super) async fn edit(
    State(context): State<Shared>,
    headers: HeaderMap,
    Extension(who): Extension<Who>,
    Id(typed): Id<String>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, ApiError> {
    let form = Sent::read(&headers, body).await?;
    let number = number(&context, &headers, &typed)?;
    let by = by(&context, &who, &headers);
    let stored = async { Ok(contacts::change(&context, number.clone(), form.change()?, by).await?) };
    match stored.await {
        Ok(_) if wants_page(&headers) => Ok(see_other(form.back().unwrap_or("/contacts"))),
        Err(error) if wants_page(&headers) => {
            let (field, contact) = (field(&error, "name"), context.store.read().await?.contact(&number).await?);
            let name = name_of(contact.as_ref());
            let form = form.over(Sent::of(contact));
            Ok(forms::again(error, move |problem| {
                let (notices, form, number, name) = (Notices::of(&context), form.clone(), number.clone(), name.clone());
                let refused = Some(Refused { field, problem });
                page(ContactPage { notices, number, name, cost: None, form, refused, is_kept: false }.render())
            }))
        }
        stored => changed(stored?),
    }
}

/// Deletes a contact, not its calls: `DELETE`, or the button of its page.
pub(super) async fn forget(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(typed): Id<String>,
    _: Query<NoParameters>,
    NoFields: NoFields,
) -> Result<Response, ApiError> {
    contacts::forget(&context, number(&context, &headers, &typed)?).await?;
    Ok(if wants_page(&headers) { see_other("/contacts") } else { StatusCode::NO_CONTENT.into_response() })
}

/// Shows a form that was sent before its browser was logged in: that of the list, or that of a number.
pub(super) async fn show_again(context: &Shared, typed: Option<&str>, form: &[u8]) -> Result<Response, ApiError> {
    let form = Sent::of_fields(Fields::of_form(form), true)?;
    let (notices, refused, is_kept) = (Notices::of(context), None, true);
    let Some(typed) = typed else {
        return Ok(page(ContactsPage { notices, list: ContactList::default(), form, refused, is_kept }.render()));
    };
    let number = TypedNumber::pasted(typed)?.in_country_of(&context.phone_number)?;
    let contact = context.store.read().await?.contact(&number).await?;
    let (name, form) = (name_of(contact.as_ref()), form.over(Sent::of(contact)));
    Ok(page(ContactPage { notices, number, name, cost: None, form, refused, is_kept }.render()))
}

/// Reads a number as people type it. On pages, one without `+` is a number of the country of our own.
pub(super) fn number(context: &Shared, headers: &HeaderMap, typed: &str) -> Result<PhoneNumber, ApiError> {
    let (typed, own) = (TypedNumber::pasted(typed)?, &context.phone_number);
    Ok(if wants_page(headers) { typed.in_country_of(own)? } else { typed.with_country_code(own)? })
}

fn name_of(contact: Option<&Contact>) -> Option<String> {
    contact.map(|contact| contact.name.to_string())
}

fn changed((contact, is_new): (Contact, bool)) -> Result<Response, ApiError> {
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(ContactView::of(contact))).into_response())
}

/// The field that is to blame, or `otherwise`.
fn field(error: &ApiError, otherwise: &'static str) -> &'static str {
    match error {
        ApiError::Pipeline(pipeline::Error::Keyterms(_)) => "keyterms",
        ApiError::Pipeline(pipeline::Error::Contact(BadContact::LongNotes(_))) => "notes",
        ApiError::Pipeline(pipeline::Error::Contact(_)) => "name",
        ApiError::BadRequest(_) => otherwise,
        _ => "",
    }
}

impl ContactView {
    fn of(Contact { number, name, keyterms, notes }: Contact) -> Self {
        Self {
            number: number.to_string(),
            name: name.to_string(),
            keyterms: keyterms.as_slice().to_vec(),
            notes: notes.as_str().to_owned(),
        }
    }

    /// The address of the list of its calls.
    fn calls(&self) -> String {
        calls_with(&self.number)
    }
}

impl Sent {
    async fn read(headers: &HeaderMap, body: Body) -> Result<Self, ApiError> {
        Self::of_fields(Fields::read(headers, &read_body(body, LARGEST_BODY).await?)?, wants_page(headers))
    }

    /// A page ignores fields that it does not know.
    fn of_fields(fields: Fields, is_page: bool) -> Result<Self, ApiError> {
        let is_form = matches!(fields, Fields::Form(_));
        let mut fields = fields.into_object()?;
        let back = if is_form { fields.shift_remove("back") } else { None };
        if is_page {
            fields.retain(|name, _| FIELDS.contains(&name.as_str()));
        }
        let sent = serde_json::from_value(Value::Object(fields));
        let sent: Self = sent.map_err(|error: serde_json::Error| ApiError::BadRequest(error.to_string()))?;
        Ok(Self { back: back.and_then(|back| Some(back.as_str()?.to_owned())), ..sent })
    }

    /// What is stored, as its page's form shows it.
    fn of(contact: Option<Contact>) -> Self {
        contact.map_or_else(Self::default, |contact| Self {
            number: Some(contact.number.to_string()),
            name: Some(contact.name.to_string()),
            keyterms: Some(Terms::List(contact.keyterms.as_slice().to_vec())),
            notes: Some(contact.notes.as_str().to_owned()),
            back: None,
        })
    }

    fn change(&self) -> Result<Change, pipeline::Error> {
        Ok(Change {
            name: self.name.as_deref().map(str::parse::<Name>).transpose().map_err(BadContact::from)?,
            keyterms: self.keyterms.as_ref().map(|terms| match terms {
                Terms::List(terms) => Keyterms::from_terms(terms),
                Terms::Text(text) => Keyterms::from_list(text),
            }),
            notes: self.notes.as_deref().map(str::parse).transpose()?,
        })
    }

    /// Returns only what is filled in of the key terms and notes.
    fn without_blanks(&self) -> Self {
        let is_blank = |terms: &Terms| matches!(terms, Terms::Text(text) if text.trim().is_empty());
        Self {
            keyterms: self.keyterms.clone().filter(|terms| !is_blank(terms)),
            notes: self.notes.clone().filter(|notes| !notes.trim().is_empty()),
            ..self.clone()
        }
    }

    /// Returns the key terms as they stand in a form.
    fn typed_keyterms(&self) -> String {
        match &self.keyterms {
            None => String::new(),
            Some(Terms::List(terms)) => terms.join(", "),
            Some(Terms::Text(text)) => text.clone(),
        }
    }

    /// The page of a call, if the form stood on one.
    fn back(&self) -> Option<&str> {
        self.back
            .as_deref()
            .filter(|back| back.starts_with("/calls/") && back.bytes().all(|byte| byte.is_ascii_graphic()))
    }

    /// What was typed, and otherwise what is stored.
    fn over(self, stored: Self) -> Self {
        Self {
            number: self.number.or(stored.number),
            name: self.name.or(stored.name),
            keyterms: self.keyterms.or(stored.keyterms),
            notes: self.notes.or(stored.notes),
            back: self.back,
        }
    }
}
