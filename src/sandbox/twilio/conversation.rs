//! What is said in a call: ask the program, obey its TwiML, and ask again where that says so.

use std::time::Duration;

use axum::http::{Method, header};
use tracing::warn;
use url::Url;

use super::state::{Call, Hook};
use super::twiml::{self, Problem, Record, Verb};
use super::{Outcome, Stage, Twilio};
use crate::clients::twilio::signature::Param;
use crate::sandbox::pace::{Pace, wait};
use crate::sandbox::speech;

/// Documents that are asked for in one call. A `<Record>` without an action asks for its own document for ever.
const MAX_DOCUMENTS: usize = 10;

/// A document to ask for.
struct Ask {
    method: Method,
    url: Url,
    /// Parameters beside, or in place of, those of the call.
    extra: Vec<Param>,
}

/// What follows a verb.
enum Next {
    /// The verb after it.
    Verb,
    /// Another document; the rest of this one is not reached.
    Ask(Ask),
    /// The call ends.
    End(&'static str),
}

impl Twilio {
    /// Talks until the call ends; returns how.
    pub(super) async fn converse(&self, call: &Call) -> &'static str {
        match self.talk(call).await {
            Ok(status) => status,
            Err(Problem { code, text }) => {
                warn!(call = call.sid, code, "application error, the call ends: {text}");
                "completed"
            }
        }
    }

    async fn talk(&self, call: &Call) -> Result<&'static str, Problem> {
        let url = Url::parse(&call.plan.url).map_err(|error| Problem::new(11100, error))?;
        let mut ask = Ask { method: call.plan.method.clone(), url, extra: Vec::new() };
        for _ in 0..MAX_DOCUMENTS {
            let verbs = self.document(&call.sid, &ask).await?;
            if call.inbound && !matches!(verbs.first(), Some(Verb::Reject { .. })) {
                self.enter(&call.sid, "in-progress");
            }
            let mut next = Next::End("completed");
            for verb in &verbs {
                next = self.perform(call, &ask, verb).await?;
                if !matches!(next, Next::Verb) {
                    break;
                }
            }
            match next {
                Next::Ask(next) => ask = next,
                Next::End(status) => return Ok(status),
                Next::Verb => return Ok("completed"),
            }
        }
        warn!(call = call.sid, "asked for {MAX_DOCUMENTS} documents, hanging up: is a <Record> without an action?");
        Ok("completed")
    }

    /// Asks the program, and reads what it answers.
    async fn document(&self, sid: &str, ask: &Ask) -> Result<Vec<Verb>, Problem> {
        let mut params = self.state().call(sid).map(Call::params).unwrap_or_default();
        // Twilio sends what it knows of the place; values can be empty, and are signed all the same.
        for name in ["ToCountry", "ToState", "ToCity", "ToZip"] {
            params.push((name.to_owned(), if name == "ToCountry" { "US".to_owned() } else { String::new() }));
        }
        params.retain(|(name, _)| ask.extra.iter().all(|(other, _)| other != name));
        params.extend(ask.extra.iter().cloned());
        let answer = self.request(&ask.method, &ask.url, &params).await?;
        if !answer.status.is_success() {
            return Err(Problem::new(11200, format!("the answer to {} was {}", ask.url.path(), answer.status)));
        }
        let kind = answer.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !["text/xml", "application/xml", "text/html"].iter().any(|known| essence.eq_ignore_ascii_case(known)) {
            return Err(Problem::new(12300, format!("the content type of {} was {kind:?}", ask.url.path())));
        }
        let xml = std::str::from_utf8(&answer.body).map_err(|error| Problem::new(12100, error))?;
        twiml::read(xml)
    }

    async fn perform(&self, call: &Call, current: &Ask, verb: &Verb) -> Result<Next, Problem> {
        match verb {
            Verb::Say(text) => {
                let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
                wait(self.inner.pace.say_per_character.saturating_mul(length)).await;
                self.spend(call, Pace::live().say_per_character.saturating_mul(length));
            }
            Verb::Pause(length) => self.pass(call, *length).await,
            Verb::Record(record) => return self.record(call, current, record).await,
            Verb::Redirect { url, method } => return Ok(Next::Ask(follow(current, url, method.as_deref(), vec![])?)),
            // Only a call that has not been answered can be rejected; any other just ends.
            Verb::Reject { .. } if !call.inbound => return Ok(Next::End("completed")),
            Verb::Reject { busy } => return Ok(Next::End(if *busy { "busy" } else { "no-answer" })),
            Verb::Hangup => return Ok(Next::End("completed")),
        }
        Ok(Next::Verb)
    }

    /// Listens to the callee, then asks the action, or the current document again.
    async fn record(&self, call: &Call, current: &Ask, verb: &Record) -> Result<Next, Problem> {
        if call.outcome == Outcome::Silent {
            self.pass(call, verb.timeout.min(verb.max_length)).await;
            return Ok(Next::Verb);
        }
        let hook = match &verb.status_callback {
            None => None,
            Some(url) => {
                let target = follow(current, url, verb.status_callback_method.as_deref(), vec![])?;
                let events = verb.status_callback_event.as_deref();
                Some(Hook::new(target.url.as_str(), target.method, events.into_iter()))
            }
        };
        let said = if call.outcome == Outcome::TooShort { Duration::ZERO } else { speech::duration() };
        let said = said.min(verb.max_length);
        let sid = self.begin_recording(&call.sid, "RecordVerb", 1, hook);
        self.pass(call, said).await;
        let cut_off = said == verb.max_length;
        let hash = verb.finish_on_key.contains('#');
        let digits = match call.outcome {
            Outcome::HangsUp => Some("hangup"),
            _ if cut_off => None,
            _ if hash => Some("#"),
            // Nothing would ever end this recording, so the callee does.
            _ if verb.timeout.is_zero() => Some("hangup"),
            _ => {
                self.pass(call, verb.timeout).await;
                None
            }
        };
        self.reach(Stage::RecordingProcessing).await;
        self.end_recording(&sid, said);

        let Some(recording) = self.state().recording(None, &sid).cloned() else { return Ok(Next::Verb) };
        let mut extra = vec![
            ("RecordingUrl".to_owned(), recording.media_url(self.url())),
            ("RecordingSid".to_owned(), sid),
            ("RecordingDuration".to_owned(), recording.seconds()),
        ];
        extra.extend(digits.map(|digits| ("Digits".to_owned(), digits.to_owned())));
        let gone = digits == Some("hangup");
        if gone {
            extra.push(("CallStatus".to_owned(), "completed".to_owned()));
        }
        let action = follow(current, verb.action.as_deref().unwrap_or_default(), verb.method.as_deref(), extra)?;
        if gone {
            // The action is asked all the same, but nobody is left to obey its answer to.
            self.document(&call.sid, &action).await?;
            return Ok(Next::End("completed"));
        }
        Ok(Next::Ask(action))
    }

    /// Lets time pass that is not Twilio's own speech.
    async fn pass(&self, call: &Call, length: Duration) {
        if self.inner.pace.speech {
            wait(length).await;
        }
        self.spend(call, length);
    }

    fn spend(&self, call: &Call, length: Duration) {
        self.change(|state| state.call_mut(&call.sid).map(|call| call.talked = call.talked.saturating_add(length)));
    }
}

/// The document at an address that is relative to the current one; that one itself if there is none.
fn follow(current: &Ask, url: &str, method: Option<&str>, extra: Vec<Param>) -> Result<Ask, Problem> {
    let url = current.url.join(url).map_err(|error| Problem::new(11100, error))?;
    let method = match method {
        Some(method) if method.eq_ignore_ascii_case("GET") => Method::GET,
        _ => Method::POST,
    };
    Ok(Ask { method, url, extra })
}
