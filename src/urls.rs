//! The URLs that vendors call back. They are built here, and requests are verified against them here, so that the two
//! cannot differ. A request's own `Host` header never counts.

use crate::model::call::CallId;
use crate::model::transcript::OrderId;

/// `BASE_URL` and the URLs below it.
#[derive(Debug, Clone)]
pub struct Urls {
    base: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected the public http(s) URL of this program, such as https://example.ngrok.app: {0}")]
pub struct BadBaseUrl(&'static str);

impl Urls {
    /// Parses `BASE_URL`. Allows a trailing slash.
    pub fn parse(text: &str) -> Result<Self, BadBaseUrl> {
        let base = text.trim_end_matches('/');
        // A URL library would normalize case, dots and escapes, but Twilio signs the URL as it is written.
        if !base.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadBaseUrl("it has spaces or non-ASCII characters"));
        }
        let url = url::Url::parse(base).map_err(|_| BadBaseUrl("it is not a URL"))?;
        // A URL library would accept `https:/host`.
        let Some(rest) = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://")) else {
            return Err(BadBaseUrl("it starts with neither https:// nor http://"));
        };
        let host = url.host_str().unwrap_or_default();
        if host.is_empty() {
            return Err(BadBaseUrl("it has no host"));
        }
        if host.contains('_') {
            return Err(BadBaseUrl("Twilio rejects host names with an underscore"));
        }
        if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
            return Err(BadBaseUrl("it contains a user name or password"));
        }
        if base.contains('\\') {
            return Err(BadBaseUrl("it has a backslash, which some programs read as a slash"));
        }
        if base.contains(['?', '#']) {
            return Err(BadBaseUrl("it has a query or a fragment"));
        }
        Ok(Self { base: base.to_owned() })
    }

    /// Returns `BASE_URL` without a trailing slash.
    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn is_plain_http(&self) -> bool {
        self.base.starts_with("http://")
    }

    /// Returns `true` if the host is this computer, which the vendors cannot reach.
    pub fn is_local(&self) -> bool {
        url::Url::parse(&self.base).is_ok_and(|url| crate::clients::is_local(&url))
    }

    /// Returns host and port as written in `BASE_URL`.
    pub fn authority(&self) -> &str {
        let rest = self.base.split_once("://").map_or(self.base.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }

    /// Returns the voice webhook, where Twilio requests TwiML. `call` is the token by which this and the following callbacks
    /// are matched to a call that callscribe dialed, even before its SID is known. Inbound calls have none.
    pub fn record(&self, call: Option<&CallId>) -> String {
        self.callback("/record/", call)
    }

    /// Whether Twilio requests TwiML here for calls to a number with this voice webhook. A request to any other address is
    /// refused, because it is signed for that address.
    pub fn is_voice_webhook(&self, url: &str) -> bool {
        let rest =
            url.strip_prefix(&self.record(None)).or_else(|| url.strip_prefix(self.record(None).trim_end_matches('/')));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['?', '#']))
    }

    /// Returns where Twilio requests TwiML after the recording.
    pub fn record_done(&self, call: Option<&CallId>) -> String {
        self.callback("/record/done/", call)
    }

    /// Returns where Twilio requests TwiML once the operator has picked up a conversation's first leg.
    pub fn conversation(&self, call: &CallId) -> String {
        self.callback("/record/conversation/", Some(call))
    }

    /// Returns where Twilio reports the key that the operator has pressed, or that there was none.
    pub fn conversation_key(&self, call: &CallId) -> String {
        self.callback("/record/conversation/key/", Some(call))
    }

    /// Returns where Twilio requests again whom to ring, after the key.
    pub fn conversation_connect(&self, call: &CallId) -> String {
        self.callback("/record/conversation/connect/", Some(call))
    }

    /// Returns where Twilio requests TwiML when the other leg of a conversation has ended.
    pub fn conversation_done(&self, call: &CallId) -> String {
        self.callback("/record/conversation/done/", Some(call))
    }

    /// Returns the TwiML that the callee of a conversation hears first.
    pub fn whisper(&self, call: &CallId) -> String {
        self.callback("/record/greeting/", Some(call))
    }

    /// Returns the TwiML that asks the person who picks up a forwarded call to take it.
    pub fn take(&self) -> String {
        self.callback("/record/take/", None)
    }

    /// Returns where Twilio reports the key that takes a forwarded call.
    pub fn take_key(&self) -> String {
        self.callback("/record/take/key/", None)
    }

    /// Returns where Twilio requests TwiML when a forwarded call has ended, or rings no longer.
    pub fn take_done(&self) -> String {
        self.callback("/record/take/done/", None)
    }

    /// Returns the status callback of a leg that a call has dialed.
    pub fn leg_progress(&self, call: Option<&CallId>) -> String {
        self.callback("/hooks/twilio/leg", call)
    }

    /// Returns the status callback of a call.
    pub fn call_progress(&self, call: Option<&CallId>) -> String {
        self.callback("/hooks/twilio/call", call)
    }

    /// Returns the status callback of a recording.
    pub fn recording_progress(&self, call: Option<&CallId>) -> String {
        self.callback("/hooks/twilio/recording", call)
    }

    fn callback(&self, path: &str, call: Option<&CallId>) -> String {
        match call {
            Some(call) => format!("{}{path}?t={call}", self.base),
            None => format!("{}{path}", self.base),
        }
    }

    /// Returns the webhook for a finished transcript. `order` selects the secret that the request must carry.
    pub fn transcript_ready(&self, order: &OrderId) -> String {
        format!("{}/hooks/assemblyai?job={order}", self.base)
    }

    /// Returns the URL of a path here, by which a receiver of webhooks finds what it is notified of.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Returns where callscribe probes its own public URL.
    pub fn probe(&self, probe: &str) -> String {
        format!("{}/_probe/{probe}", self.base)
    }

    /// Returns path and query of a URL below `BASE_URL`.
    pub fn path_of<'u>(&self, url: &'u str) -> &'u str {
        let scheme = if self.is_plain_http() { "http://" } else { "https://" };
        url.get(scheme.len() + self.authority().len()..).unwrap_or_default()
    }

    /// Returns the URL that Twilio requested and signed, from the path and query received.
    pub fn requested(&self, path_and_query: &str) -> String {
        format!("{}{path_and_query}", self.base)
    }
}
