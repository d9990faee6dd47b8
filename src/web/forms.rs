//! Forms that come back to be corrected and sent again: what was typed in them, and why they came back.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};

use super::error::{ApiError, Problem};
use crate::context::Context;
use crate::model::call::FormNonce;
use crate::model::name::{BadName, Name};
use crate::model::phone::PhoneNumber;

/// Why a form came back.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    /// The name of the field that must be changed; empty if it is none of them.
    pub(super) field: &'static str,
    pub(super) problem: Problem,
}

/// What was typed in a form that dials.
#[derive(Debug, Clone)]
pub(super) struct DialForm {
    pub(super) number: String,
    /// The operator's phone for a conversation, or `me`; empty for a message.
    pub(super) with: String,
    /// The operator's phones that can be chosen.
    pub(super) phones: Vec<PhoneNumber>,
    pub(super) keyterms: String,
    /// What the operator files the call under.
    pub(super) tag: String,
    /// A form that comes back keeps its nonce: if its call was placed nevertheless, the next click does not place another.
    pub(super) nonce: FormNonce,
}

impl DialForm {
    pub(super) fn new(context: &Context) -> Self {
        let (number, with, keyterms, tag) = Default::default();
        let phones = context.call.operator_phones.clone();
        Self { number, with, phones, keyterms, tag, nonce: FormNonce::random() }
    }

    /// The operator's phone for a conversation; `None` for a message.
    pub(super) fn phone(&self) -> Result<Option<&PhoneNumber>, ApiError> {
        let with = self.with.trim();
        let named = match with {
            "" => return Ok(None),
            "me" => self.phones.first(),
            // In a query, `+` stands for a space.
            number => {
                number.parse().ok().and_then(|number: PhoneNumber| self.phones.iter().find(|one| **one == number))
            }
        };
        named.map(Some).ok_or_else(|| {
            let why = if self.phones.is_empty() {
                "with: OPERATOR_PHONES is not set, so there is no phone to talk at"
            } else {
                "with: expected me, or one of OPERATOR_PHONES"
            };
            ApiError::BadRequest(why.to_owned())
        })
    }

    /// The tag, if there is one.
    pub(super) fn tag(&self) -> Result<Option<Name>, ApiError> {
        if self.tag.trim().is_empty() {
            return Ok(None);
        }
        self.tag.parse().map(Some).map_err(|bad: BadName| ApiError::BadRequest(format!("tag: {bad}")))
    }

    /// Returns the phone that the form comes back with. If a phone was typed that is none of the operator's, it is the
    /// first of them: who wanted to talk must not send a message with the next click.
    pub(super) fn chosen(&self) -> Option<&PhoneNumber> {
        self.phone().unwrap_or_else(|_| self.phones.first())
    }
}

/// In a response with a [`Problem`]: writes the page with the form.
#[derive(Clone)]
pub(super) struct FormAgain(Arc<dyn Fn(Problem) -> Response + Send + Sync>);

impl FormAgain {
    pub(super) fn write(&self, problem: Problem) -> Response {
        self.0(problem)
    }
}

/// Answers a browser with the status of the error, and the page that `show` writes.
pub(super) fn again(error: ApiError, show: impl Fn(Problem) -> Response + Send + Sync + 'static) -> Response {
    let mut response = error.into_response();
    response.extensions_mut().insert(FormAgain(Arc::new(show)));
    response
}
