//! The conversation of a call: fetches TwiML from the program, performs it, and fetches the next document.

use std::time::Duration;

use axum::http::{Method, header};
use tracing::warn;
use url::Url;

use super::account::{Call, Document, Outcome, Recording, StatusCallback};
use super::application_error::ApplicationError;
use super::emulator::{Stage, Twilio};
use super::form::Param;
use super::phone_book;
use super::twiml::{self, Hook, Record, Verb};
use crate::sandbox::pace::{Pace, wait};

/// Maximum number of documents in one call. A `<Record>` without an action would fetch its own document forever.
const MAX_DOCUMENTS: usize = 10;

/// The next TwiML document.
pub(super) struct Fetch {
    document: Document,
    /// Parameters of the request for it beside those of the call, or that replace them.
    extra: Vec<Param>,
}

/// What follows a verb.
pub(super) enum Next {
    /// The next verb of the document.
    Verb,
    /// Another document; the rest of this one is skipped.
    Document(Fetch),
    /// The end of the call, with this status.
    End(&'static str),
}

impl Twilio {
    /// Runs the conversation from this document on. Returns the final status of the call, or `None` if no verb ended it.
    pub(super) async fn converse(&self, call: &Call, document: Document) -> Option<&'static str> {
        match self.talk(call, document).await {
            Ok(status) => status,
            Err(ApplicationError { code, message }) => {
                warn!(call = call.sid, code, "application error, the call ends: {message}");
                Some("completed")
            }
        }
    }

    async fn talk(&self, call: &Call, document: Document) -> Result<Option<&'static str>, ApplicationError> {
        let mut fetch = Fetch { document, extra: Vec::new() };
        for _ in 0..MAX_DOCUMENTS {
            let verbs = self.document(&call.sid, &fetch).await?;
            if call.parent.is_some() && !verbs.iter().all(Verb::can_whisper) {
                return Err(ApplicationError::new(
                    12200,
                    "the document of a <Number> has a verb that it must not have",
                ));
            }
            if verbs.is_empty() {
                self.answer(&call.sid);
            }
            let mut next = Next::Verb;
            for verb in &verbs {
                if !verb.leaves_unanswered() {
                    self.answer(&call.sid);
                }
                next = self.perform(call, &fetch, verb).await?;
                if !matches!(next, Next::Verb) {
                    break;
                }
            }
            match next {
                Next::Document(next) => fetch = next,
                Next::End(status) => return Ok(Some(status)),
                Next::Verb => return Ok(None),
            }
        }
        warn!(call = call.sid, "fetched {MAX_DOCUMENTS} documents, hanging up; is there a verb without an action?");
        Ok(Some("completed"))
    }

    /// Fetches and parses a document.
    async fn document(&self, sid: &str, fetch: &Fetch) -> Result<Vec<Verb>, ApplicationError> {
        let (method, url) = match &fetch.document {
            Document::At(method, url) => (method, url),
            Document::Inline(twiml) => return twiml::parse(twiml),
        };
        let mut params = self.account().call(sid).map(Call::params).unwrap_or_default();
        // Twilio sends what it knows of the callee's place. Empty values are sent and signed too.
        for (name, value) in [("ToCountry", "US"), ("ToState", ""), ("ToCity", ""), ("ToZip", "")] {
            params.push((name.to_owned(), value.to_owned()));
        }
        params.retain(|(name, _)| fetch.extra.iter().all(|(other, _)| other != name));
        params.extend(fetch.extra.iter().cloned());
        let response = self.request(method, url, &params).await?;
        let path = url.path();
        if !response.status.is_success() {
            return Err(ApplicationError::new(11200, format!("{path} responded with {}", response.status)));
        }
        let value =
            response.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = value.split(';').next().unwrap_or_default().trim();
        if !["text/xml", "application/xml", "text/html"].iter().any(|known| media_type.eq_ignore_ascii_case(known)) {
            return Err(ApplicationError::new(12300, format!("{path} responded with content type {value:?}")));
        }
        let xml = std::str::from_utf8(&response.body).map_err(|error| ApplicationError::new(12100, error))?;
        twiml::parse(xml)
    }

    async fn perform(&self, call: &Call, current: &Fetch, verb: &Verb) -> Result<Next, ApplicationError> {
        match verb {
            Verb::Say(text) => self.say(call, text).await,
            Verb::Pause(length) => self.listen(call, *length).await,
            Verb::Dial(dial) => return self.dial(call, current, dial).await,
            Verb::Gather(gather) => return self.gather(call, current, gather).await,
            Verb::Record(record) => return self.record(call, current, record).await,
            Verb::Redirect { url, method } => {
                return Ok(Next::Document(resolve(current, url, method.as_deref(), vec![])?));
            }
            // Only a call that has not been answered can be rejected; any other just ends.
            Verb::Reject { .. } if !call.inbound => return Ok(Next::End("completed")),
            Verb::Reject { busy } => return Ok(Next::End(if *busy { "busy" } else { "no-answer" })),
            Verb::Hangup => return Ok(Next::End("completed")),
        }
        Ok(Next::Verb)
    }

    /// Records the callee, then fetches the action or, without one, the current document again.
    async fn record(&self, call: &Call, current: &Fetch, verb: &Record) -> Result<Next, ApplicationError> {
        if call.outcome == Outcome::Silent {
            let silence = if verb.timeout.is_zero() { verb.max_length } else { verb.timeout };
            self.listen(call, silence.min(verb.max_length)).await;
            return Ok(Next::Verb);
        }
        let status_callback = status_callback(current, &verb.status_callback)?;
        let audio = phone_book::message(call.other_number());
        let length = if call.outcome == Outcome::TooShort { Duration::ZERO } else { audio.duration() };
        let length = length.min(verb.max_length);
        let sid = self.start_recording(Recording { audio, status_callback, ..Recording::new(&call.sid) });
        self.listen(call, length).await;
        let digits = match call.outcome {
            Outcome::HangsUp => Some("hangup"),
            _ if length == verb.max_length => None,
            _ if call.outcome.presses_keys() && verb.finish_on_key.contains('#') => Some("#"),
            // Nothing else would ever end this recording, so the callee hangs up.
            _ if verb.timeout.is_zero() => Some("hangup"),
            _ => {
                self.listen(call, verb.timeout).await;
                None
            }
        };
        self.wait_while_held(Stage::RecordingProcessing).await;
        self.end_recording(&sid, length);

        let Some(recording) = self.account().recording(None, &sid).cloned() else { return Ok(Next::Verb) };
        let mut extra = vec![
            ("RecordingUrl".to_owned(), recording.media_url(self.url())),
            ("RecordingSid".to_owned(), sid),
            ("RecordingDuration".to_owned(), recording.seconds()),
        ];
        extra.extend(digits.map(|digits| ("Digits".to_owned(), digits.to_owned())));
        let hung_up = digits == Some("hangup");
        if hung_up {
            extra.push(("CallStatus".to_owned(), "completed".to_owned()));
        }
        let action = resolve(current, verb.action.as_deref().unwrap_or_default(), verb.method.as_deref(), extra)?;
        if hung_up {
            // Twilio fetches the action also after a hang-up, but performs none of its verbs.
            self.document(&call.sid, &action).await?;
            return Ok(Next::End("completed"));
        }
        Ok(Next::Document(action))
    }

    pub(super) async fn say(&self, call: &Call, text: &str) {
        let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        wait(self.inner.pace.say_per_character.saturating_mul(length)).await;
        self.add_talk_time(call, Pace::live().say_per_character.saturating_mul(length));
    }

    /// Lets the callee speak or be silent for this long.
    pub(super) async fn listen(&self, call: &Call, length: Duration) {
        if self.inner.pace.speech {
            wait(length).await;
        }
        self.add_talk_time(call, length);
    }

    /// Answers a call that came in, unless it is answered.
    pub(super) fn answer(&self, sid: &str) {
        self.change(|account| {
            account.call_mut(sid).filter(|call| call.status == "ringing").map(|call| call.set_status("in-progress"))
        });
    }

    pub(super) fn add_talk_time(&self, call: &Call, length: Duration) {
        self.change(|account| {
            account.call_mut(&call.sid).map(|call| call.talk_time = call.talk_time.saturating_add(length))
        });
    }
}

/// Returns the document at a URL of a verb. Without one, it is the current document again.
pub(super) fn resolve(
    current: &Fetch,
    url: &str,
    name: Option<&str>,
    extra: Vec<Param>,
) -> Result<Fetch, ApplicationError> {
    let document = match &current.document {
        Document::Inline(_) if url.is_empty() => current.document.clone(),
        _ => Document::At(method(name), absolute(current, url)?),
    };
    Ok(Fetch { document, extra })
}

/// Returns the status callback that a verb or noun asks for.
pub(super) fn status_callback(current: &Fetch, hook: &Hook) -> Result<Option<StatusCallback>, ApplicationError> {
    let Some(url) = &hook.url else { return Ok(None) };
    let url = absolute(current, url)?;
    Ok(Some(StatusCallback::new(url.as_str(), method(hook.method.as_deref()), hook.events.as_deref().into_iter())))
}

/// Resolves a URL against that of the current document. TwiML that came in a request has none.
pub(super) fn absolute(current: &Fetch, url: &str) -> Result<Url, ApplicationError> {
    let url = match &current.document {
        Document::At(_, base) => base.join(url),
        Document::Inline(_) => Url::parse(url),
    };
    url.map_err(|error| ApplicationError::new(11100, error))
}

/// The default method is POST.
pub(super) fn method(name: Option<&str>) -> Method {
    match name {
        Some(name) if name.eq_ignore_ascii_case("GET") => Method::GET,
        _ => Method::POST,
    }
}
