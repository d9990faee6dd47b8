//! Forms that come back to be corrected and sent again: what was typed in them, and why they came back.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};

use super::error::{ApiError, Problem};
use crate::context::Context;
use crate::model::call::FormNonce;

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
    /// The operator's phone for a conversation; empty for a message.
    pub(super) with: String,
    /// The operator's phones that can be chosen.
    pub(super) phones: Vec<String>,
    pub(super) keyterms: String,
    /// A form that comes back keeps its nonce: if its call was placed nevertheless, the next click does not place another.
    pub(super) nonce: FormNonce,
}

impl DialForm {
    pub(super) fn new(context: &Context) -> Self {
        let (number, with, keyterms) = Default::default();
        let phones = context.call.operator_phones.iter().map(ToString::to_string).collect();
        Self { number, with, phones, keyterms, nonce: FormNonce::random() }
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
