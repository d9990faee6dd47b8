//! HTTP in: every route in one list, then the layers in order. Of the vendors' formats, only their callbacks are parsed
//! here.

mod access;
mod accuracy;
mod alike;
mod api;
mod blind_checks;
mod call_page;
mod callback;
mod calls;
mod checks;
mod compare;
mod contacts;
mod conversation;
mod correct_page;
mod corrections;
mod cost;
mod delete;
mod delete_many;
mod deletions;
mod deliveries;
mod dial;
mod document;
mod error;
mod export;
mod exported;
mod extract;
mod filing;
mod filter;
mod finish;
mod forms;
mod forward;
mod greeted;
mod greeter;
mod gzip;
mod help;
mod home;
mod hooks;
mod import_view;
mod imports;
mod items;
mod labels;
mod list_page;
mod live;
mod login;
mod login_page;
mod mcp;
mod metrics;
mod noted;
mod pages;
mod paging;
mod passages;
mod probe;
mod qvalue;
mod rates;
mod reading;
mod ready;
mod record;
mod recording_url;
mod recordings;
mod replace;
mod response;
mod revocable;
mod rights;
mod rung;
mod said;
mod session;
mod speakers;
mod spoken;
mod tags;
mod tokens;
mod toolbox;
mod tools;
mod transcribe;
mod transcript;
mod trial_result;
mod trial_view;
mod trials;
mod tus;
mod upload;
mod view;
mod vocabulary;
mod webhook_view;
mod webhooks;
mod who;
mod words;
mod zone;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::middleware;
use axum::routing::{MethodRouter, get, patch, post};
use axum::{Extension, Router};

use crate::clients::twilio::signature;
use crate::context::Shared;
use crate::webhook_secret::SECRET_HEADER;
use callback::Callback;
use error::ApiError;
use greeter::Greeter;

/// Every route, with and without its trailing slash.
pub fn router(context: Shared) -> Router {
    let greeter = Arc::new(Greeter::new(&context));
    // A route that answers with TwiML, which may count how often a call asks.
    macro_rules! twiml {
        ($handler:path) => {{
            let greeter = Arc::clone(&greeter);
            let answer = move |State(context), callback: Callback<_>| $handler(context, Arc::clone(&greeter), callback);
            get(answer.clone()).post(answer)
        }};
    }
    let tus = |methods: MethodRouter<Shared>| methods.layer(middleware::from_fn(tus::speak));
    let vendors = Routes::new()
        .at("/record", twiml!(record::greet))
        .at("/record/done", get(record::done).post(record::done))
        .at("/record/greeting", twiml!(conversation::whisper))
        .at("/record/conversation", twiml!(conversation::begin))
        .at("/record/conversation/key", twiml!(conversation::key))
        .at("/record/conversation/connect", twiml!(conversation::connect))
        .at("/record/conversation/done", twiml!(conversation::done))
        .at("/record/take", twiml!(forward::take))
        .at("/record/take/key", twiml!(forward::key))
        .at("/record/take/done", twiml!(forward::done))
        .at("/hooks/twilio/leg", post(hooks::leg_progress))
        .at("/hooks/twilio/call", post(hooks::call_progress))
        .at("/hooks/twilio/recording", post(hooks::recording_progress))
        .at("/hooks/assemblyai", post(hooks::transcript_ready))
        .at("/healthz", get(|| async { "ok\n" }))
        .at("/readyz", get(ready::ready))
        .at("/_probe/{nonce}", get(probe::arrive))
        .router;
    let door = Routes::new()
        // GET uses up the link in the address; HEAD must not.
        .at("/login", get(login::show).head(login::not_head).post(login::log_in))
        .at("/assets/{file}", get(pages::asset))
        .router
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(context.clone(), access::door));
    let operator = Routes::new()
        .at("/", get(home::show))
        .at("/dial/{number}", get(dial::dial).head(dial::not_get).fallback(dial::not_get))
        .at("/events", get(live::events).layer(Extension(live::Seats::default())))
        .at("/export", get(export::export).layer(Extension(export::Seats::default())))
        .at("/items", get(items::items))
        .at("/items/delete", get(delete_many::ask).post(delete_many::delete))
        .at("/items/deletions", get(deletions::show))
        .at("/items/{call}", get(calls::show).post(filing::change).delete(delete::delete))
        .at("/items/{call}/delete", get(delete::ask).post(delete::delete))
        .at("/calls", get(items::calls).post(dial::confirmed))
        .at("/calls/{call}", get(calls::show))
        .at("/calls/{call}/retry", post(calls::retry))
        .at("/calls/{call}/speakers", post(speakers::name))
        .at("/calls/{call}/delete", get(delete::ask).post(delete::delete))
        .at("/contacts", get(contacts::list).post(contacts::add))
        .at("/contacts/{number}", get(contacts::show).put(contacts::put).post(contacts::edit).delete(contacts::forget))
        .at("/contacts/{number}/delete", post(contacts::forget))
        .at("/contacts/{number}/delete-calls", get(delete_many::ask_of_contact).post(delete_many::delete_of_contact))
        .at("/get-recording-url/{sid}", get(recording_url::list))
        .at("/recordings/{file}", get(recordings::listen))
        .at("/tags", get(tags::list))
        .at("/transcribe", get(transcribe::form).post(transcribe::transcribe))
        .at("/uploads", tus(post(tus::begin).options(tus::describe)))
        .at("/uploads/{id}", tus(get(tus::show).head(tus::offset).patch(tus::append).delete(tus::cancel)))
        .at("/transcript/{id}", get(transcript::transcript))
        .at("/transcript/{id}/checked", post(checks::check))
        .at("/transcript/{id}/blind-check", get(blind_checks::show).post(blind_checks::store))
        .at("/transcript/{id}/correct", get(correct_page::form))
        .at("/transcript/{id}/corrections", get(corrections::list).post(corrections::correct))
        .at("/transcript/{id}/corrections/{correction}/undo", post(corrections::undo))
        .at("/transcript/{id}/corrections/{correction}/alike", get(alike::alike))
        .at("/transcript/{id}/compare/{other}", get(compare::compare))
        .at("/transcript/{id}/current", post(compare::choose))
        .at("/replace", get(replace::ask).post(replace::replace))
        .at("/replace/{id}", get(replace::progress))
        .at("/replace/{id}/undo", post(replace::undo))
        .at("/vocabulary", get(vocabulary::list).post(vocabulary::add))
        .at("/vocabulary/{id}", patch(vocabulary::change).post(vocabulary::change).delete(vocabulary::forget))
        .at("/vocabulary/{id}/delete", post(vocabulary::forget))
        .at("/accuracy", get(accuracy::show))
        .at("/cost", get(cost::show))
        .at("/trials", get(trials::list).post(trials::try_out))
        .at("/trials/{id}", get(trials::show))
        .at("/trials/{id}/stop", post(trials::stop))
        .at("/trials/{id}/retry", post(trials::retry))
        .at("/trials/{id}/choose", post(trials::choose))
        .at("/trials/{id}/choose/undo", post(trials::undo))
        .at("/imports", get(imports::list).post(imports::import))
        .at("/imports/{id}", get(imports::show))
        .at("/imports/{id}/pause", post(imports::pause))
        .at("/imports/{id}/resume", post(imports::resume))
        .at("/imports/{id}/cancel", post(imports::cancel))
        .at("/imports/{id}/retry", post(imports::retry))
        .at("/webhooks", get(webhooks::list).post(webhooks::add))
        .at("/webhooks/deliveries", get(deliveries::list))
        .at("/webhooks/deliveries/{id}/resend", post(deliveries::resend))
        .at("/webhooks/{id}", get(webhooks::show).post(webhooks::change).delete(webhooks::remove))
        .at("/webhooks/{id}/rotate", post(webhooks::rotate))
        .at("/webhooks/{id}/delete", post(webhooks::remove))
        .at("/tokens", get(tokens::list).post(tokens::make))
        .at("/tokens/{id}", get(tokens::show).delete(tokens::revoke))
        .at("/tokens/{id}/delete", post(tokens::revoke))
        .at("/metrics", get(metrics::scrape))
        .at("/openapi.json", get(api::show))
        .at("/help", get(help::index))
        .at("/help/{file}", get(help::file))
        .at("/logout", post(login::log_out))
        .router;
    let toolbox = toolbox::Toolbox::new(context.clone(), operator.clone().with_state(context.clone()));
    let operator = operator
        .merge(Routes::new().at("/mcp", post(mcp::serve).layer(Extension(mcp::Door::new(toolbox)))).router)
        .fallback(|| async { ApiError::NoSuchPath })
        // Before the layer, so that only the operator learns which methods exist.
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(context.clone(), access::operator_only));
    vendors
        .method_not_allowed_fallback(method_not_allowed)
        .merge(door)
        .merge(operator)
        // As one layer, the outer one first: axum boxes every request once for each layer.
        .layer((middleware::from_fn_with_state(context.clone(), finish::finish), finish::catch_panics()))
        .with_state(context)
}

/// The routes of the vendors' callbacks.
const CALLBACKS: [&str; 14] = [
    "/record",
    "/record/done",
    "/record/greeting",
    "/record/conversation",
    "/record/conversation/key",
    "/record/conversation/connect",
    "/record/conversation/done",
    "/record/take",
    "/record/take/key",
    "/record/take/done",
    "/hooks/twilio/call",
    "/hooks/twilio/leg",
    "/hooks/twilio/recording",
    "/hooks/assemblyai",
];

/// Whether a request may use a slot of the [listener](crate::server) that is reserved for what must always get through:
/// what looks like a callback of a vendor, and probes. Every other path may keep its slot while it waits for a look.
pub fn is_privileged(uri: &Uri, headers: &HeaderMap) -> bool {
    let path = uri.path().strip_suffix('/').unwrap_or(uri.path());
    let is_probe = path.strip_prefix("/_probe/").is_some_and(|nonce| !nonce.is_empty() && !nonce.contains('/'));
    let looks_signed = headers.contains_key(signature::HEADER) || headers.contains_key(SECRET_HEADER);
    is_probe || looks_signed && CALLBACKS.contains(&path)
}

async fn method_not_allowed() -> ApiError {
    ApiError::MethodNotAllowed(None)
}

/// Collects routes, each under its path with and without the trailing slash.
struct Routes {
    router: Router<Shared>,
}

impl Routes {
    fn new() -> Self {
        Self { router: Router::new() }
    }

    fn at(self, path: &str, methods: MethodRouter<Shared>) -> Self {
        let router = self.router.route(path, methods.clone());
        let router = if path == "/" { router } else { router.route(&format!("{path}/"), methods) };
        Self { router }
    }
}
