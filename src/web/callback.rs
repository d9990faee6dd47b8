//! Callbacks of Twilio: authenticated by their signature, and parsed only then.

use std::sync::atomic::Ordering;

use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use super::extract::{is_form, only_header, read_body};
use crate::clients::twilio::callbacks::{self, CallProgress, Pair, RecordingProgress, VoiceRequest, pairs};
use crate::clients::twilio::signature::{self, Algorithm, SignatureSettings};
use crate::context::{Context, Shared};
use crate::model::BadId;
use crate::model::call::{CallId, CallSid, CallState, Direction};
use crate::model::leg::LegUpdate;
use crate::pipeline::ingest::{CallUpdate, Recorded, RecordingUpdate, Update};

/// Largest body of a callback, in bytes.
pub(super) const LARGEST_CALLBACK: usize = 64 << 10;

/// Parameters that must not be repeated, and that a form must not have in the query: the query is ours.
const UNIQUE: [&str; 18] = [
    "AccountSid",
    "CallSid",
    "ParentCallSid",
    "DialCallSid",
    "DialCallStatus",
    "DialBridged",
    "Digits",
    "ConferenceSid",
    "CallStatus",
    "Direction",
    "From",
    "To",
    "RecordingSid",
    "RecordingStatus",
    "RecordingDuration",
    "RecordingChannels",
    "RecordingSource",
    "ErrorCode",
];

/// The same text for a missing and for a wrong signature.
const NOT_SIGNED: ApiError = ApiError::Forbidden("the request does not carry a valid X-Twilio-Signature");

/// A callback of our Twilio account.
pub(super) struct Callback<T> {
    /// The call id in the URL that Twilio was given. Calls that were not dialed here have none.
    pub(super) token: Option<CallId>,
    pub(super) body: T,
}

impl<T: DeserializeOwned> FromRequest<Shared> for Callback<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, context: &Shared) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        // Before the body is read: a client that cannot sign does not get to send one.
        let signature = signature_of(&parts.headers, context)?;
        let body = read_body(body, LARGEST_CALLBACK).await?;
        let received = Received::new(&parts, &body);
        received.authenticate(context, &signature)?;
        received.parse(&context.account_sid)
    }
}

/// A signature that is not verified yet.
struct Signature<'r> {
    text: &'r str,
    algorithm: Algorithm,
    /// It may be by any of these.
    keys: &'r [SecretString],
    is_by_shared_key: bool,
}

/// Returns the signature with the keys that it may be by: the shared key that the request names, or else our auth tokens.
fn signature_of<'r>(headers: &'r HeaderMap, context: &'r Context) -> Result<Signature<'r>, ApiError> {
    let text = only_header(headers, signature::HEADER).ok_or(NOT_SIGNED)?;
    if !headers.contains_key(signature::SETTINGS_HEADER) {
        let keys = &context.auth_tokens;
        return Ok(Signature { text, algorithm: Algorithm::HmacSha1, keys, is_by_shared_key: false });
    }
    let settings = only_header(headers, signature::SETTINGS_HEADER).and_then(SignatureSettings::parse);
    let known = settings.and_then(|settings| Some((context.shared_keys.get(settings.key_id)?, settings.algorithm)));
    match known {
        Some((key, algorithm)) => {
            Ok(Signature { text, algorithm, keys: std::slice::from_ref(key), is_by_shared_key: true })
        }
        None => {
            let id = settings.map(|settings| settings.key_id).filter(|id| is_plausible_id(id));
            refuse_shared_key(
                context,
                id,
                "a callback is signed with a webhook shared key that TWILIO_SHARED_KEYS lacks",
            );
            Err(NOT_SIGNED)
        }
    }
}

/// Whether this may be the id of a shared key, so that the log may have it. Strangers can send any.
fn is_plausible_id(id: &str) -> bool {
    id.len() <= 100 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Notes for the log and for the pages that a callback was refused because of its shared key.
fn refuse_shared_key(context: &Context, id: Option<&str>, why: &'static str) {
    let now = context.clock.now_ms();
    context.shared_key_refused_at.store(now, Ordering::Relaxed);
    if let Some(times) = context.repeats.count(why.to_owned(), now) {
        tracing::warn!(times, id, "{why}");
    }
}

/// A request as it was received, not authenticated yet.
struct Received<'r> {
    parts: &'r Parts,
    body: &'r [u8],
    query: Vec<Pair<'r>>,
    form: Vec<Pair<'r>>,
}

impl<'r> Received<'r> {
    fn new(parts: &'r Parts, body: &'r [u8]) -> Self {
        let query = pairs(parts.uri.query().unwrap_or_default().as_bytes());
        let form = if parts.method == Method::GET { Vec::new() } else { pairs(body) };
        Self { parts, body, query, form }
    }

    /// Verifies the signature over URL and body.
    fn authenticate(&self, context: &Context, signature: &Signature<'_>) -> Result<(), ApiError> {
        let target = self.parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let url = context.urls.requested(target);
        let promised = signature::promised_body_hash(&url);
        let (is_post, is_form) = (self.parts.method == Method::POST, is_form(&self.parts.headers));
        if is_post && !is_form && promised.is_none() {
            return Err(NOT_SIGNED);
        }
        // The parameters of a body that is signed by its hash are not signed one by one as well.
        let params = if is_post && is_form && promised.is_none() { &self.form[..] } else { &[] };
        let is_body = promised.is_none_or(|promised| signature::body_matches(&promised, self.body));
        let Signature { text, algorithm, keys, is_by_shared_key } = *signature;
        let is_by = |key: &SecretString| signature::verify(algorithm, key.expose_secret(), &url, params, text);
        if is_body && keys.iter().any(is_by) {
            return Ok(());
        }
        if is_by_shared_key {
            refuse_shared_key(context, None, "a callback's signature does not fit its key in TWILIO_SHARED_KEYS");
        }
        Err(NOT_SIGNED)
    }

    fn parse<T: DeserializeOwned>(&self, account_sid: &str) -> Result<Callback<T>, ApiError> {
        let (params, beside) = if self.parts.method == Method::GET {
            (&self.query[..], &[][..])
        } else {
            (&self.form[..], &self.query[..])
        };
        let mut accounts = params.iter().filter(|(name, _)| name == "AccountSid");
        match (accounts.next(), accounts.next()) {
            (Some((_, account)), None) if *account == account_sid => {}
            (Some(_), None) => return Err(ApiError::Forbidden("this callback belongs to another Twilio account")),
            _ => return Err(ApiError::BadRequest("AccountSid: expected once".to_owned())),
        }
        if let Some(name) = misplaced(params, beside) {
            return Err(ApiError::BadRequest(format!("{name}: expected once, and not in the URL")));
        }
        let unreadable = |error: serde::de::value::Error| ApiError::BadRequest(error.to_string());
        let Query { t } = callbacks::read(&self.query).map_err(unreadable)?;
        // A token that is no call id was not issued here.
        Ok(Callback { token: t.parse().ok(), body: callbacks::read(params).map_err(unreadable)? })
    }
}

/// The query of the URL that Twilio was given.
#[derive(Deserialize)]
struct Query {
    #[serde(default)]
    t: String,
}

/// Returns a unique parameter that is repeated, or that stands in the query of a form.
fn misplaced<'p>(params: &'p [Pair<'_>], beside: &'p [Pair<'_>]) -> Option<&'p str> {
    let is_unique = |name: &str| UNIQUE.contains(&name);
    let is_repeated = |at: usize, name: &str| params[at + 1..].iter().any(|(other, _)| other == name);
    let mut repeated = params.iter().enumerate().filter(|(at, (name, _))| is_unique(name) && is_repeated(*at, name));
    let mut in_query = beside.iter().filter(|(name, _)| is_unique(name));
    repeated.next().map(|(_, pair)| pair).or_else(|| in_query.next()).map(|(name, _)| &**name)
}

/// Whether Twilio names the call that has dialed this leg.
fn is_child(parent: Option<&str>) -> bool {
    parent.is_some_and(|sid| !sid.is_empty())
}

impl TryFrom<Callback<CallProgress>> for CallUpdate {
    type Error = BadId;

    fn try_from(Callback { token, body }: Callback<CallProgress>) -> Result<Self, BadId> {
        Ok(Self {
            token,
            sid: body.call_sid.parse()?,
            status: body.call_status,
            direction: Direction::of_twilio(&body.direction),
            to: body.to,
            from: body.from,
            is_child: is_child(body.parent_call_sid.as_deref()),
        })
    }
}

impl TryFrom<Callback<CallProgress>> for LegUpdate {
    type Error = ApiError;

    fn try_from(Callback { token, body }: Callback<CallProgress>) -> Result<Self, ApiError> {
        let parent = body.parent_call_sid.filter(|parent| !parent.is_empty() && *parent != body.call_sid);
        let parent =
            parent.ok_or_else(|| ApiError::BadRequest("ParentCallSid: expected the SID of a call".to_owned()))?;
        Ok(Self {
            token,
            parent: parent.parse()?,
            sid: body.call_sid.parse()?,
            status: body.call_status,
            number: body.to,
            is_bridged: None,
        })
    }
}

impl Callback<VoiceRequest> {
    /// Twilio asks for TwiML when the call is answered.
    pub(super) fn answered(self) -> Result<Update, BadId> {
        let Self { token, body } = self;
        Ok(Update::Call(CallUpdate {
            token,
            sid: body.call_sid.parse::<CallSid>()?,
            status: CallState::InProgress.as_str().to_owned(),
            direction: Direction::of_twilio(&body.direction),
            to: body.to,
            from: body.from,
            is_child: is_child(body.parent_call_sid.as_deref()),
        }))
    }

    /// The person at the phone of this leg has taken the call.
    pub(super) fn taken(self) -> Result<Update, BadId> {
        let body = self.body;
        Ok(Update::Leg(LegUpdate {
            token: None,
            parent: body.parent_call_sid.unwrap_or_default().parse()?,
            sid: body.call_sid.parse()?,
            status: CallState::InProgress.as_str().to_owned(),
            number: body.to,
            is_bridged: Some(true),
        }))
    }

    /// The leg that the call has dialed has ended.
    pub(super) fn leg_ended(self) -> Result<Update, BadId> {
        let Self { token, body } = self;
        Ok(Update::Leg(LegUpdate {
            token,
            parent: body.call_sid.parse()?,
            is_bridged: Some(body.is_bridged()),
            sid: body.dial_call_sid.unwrap_or_default().parse()?,
            status: body.dial_call_status.unwrap_or_default(),
            number: None,
        }))
    }
}

impl TryFrom<Callback<RecordingProgress>> for RecordingUpdate {
    type Error = ApiError;

    fn try_from(Callback { token, body }: Callback<RecordingProgress>) -> Result<Self, ApiError> {
        let number =
            |text: Option<String>| text.and_then(|text| text.parse::<i64>().ok()).filter(|number| *number >= 0);
        let conference = body.conference_sid.filter(|sid| !sid.is_empty());
        let of = match (body.call_sid, conference) {
            (Some(call), conference) if conference.is_none() || !call.is_empty() => Recorded::Call(call.parse()?),
            (_, Some(conference)) => Recorded::Conference(conference.parse()?),
            _ => return Err(ApiError::BadRequest("missing field `CallSid`".to_owned())),
        };
        Ok(Self {
            token,
            of,
            sid: body.recording_sid.parse()?,
            status: body.recording_status,
            duration_seconds: number(body.recording_duration),
            channels: number(body.recording_channels),
            source: body.recording_source,
            error_code: number(body.error_code),
        })
    }
}
