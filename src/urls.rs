//! The addresses under which the vendors call back. They are handed out here, and checked against here, so that the
//! two cannot differ. What the request says of its own host never counts.

use crate::model::call::CallId;

/// `BASE_URL`, and what hangs from it.
#[derive(Debug, Clone)]
pub struct Urls {
    base: String,
}

/// Why a text cannot be `BASE_URL`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected the public http(s) address of this program, such as https://example.ngrok.app: {0}")]
pub struct BadBaseUrl(&'static str);

impl Urls {
    /// Reads `BASE_URL`. A trailing slash is tolerated.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BadBaseUrl> {
        let base = text.trim_end_matches('/');
        // What a URL library would quietly mend (case, dots, escapes), Twilio would sign as it was written here.
        if !base.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadBaseUrl("it has spaces or letters beyond ASCII"));
        }
        let url = url::Url::parse(base).map_err(|_| BadBaseUrl("it is no URL"))?;
        // A library would also mend `https:/host`.
        let Some(rest) = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://")) else {
            return Err(BadBaseUrl("it begins with neither https:// nor http://"));
        };
        let host = url.host_str().unwrap_or_default();
        if host.is_empty() {
            return Err(BadBaseUrl("it has no host"));
        }
        if host.contains('_') {
            return Err(BadBaseUrl("Twilio calls no host with an underscore"));
        }
        if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
            return Err(BadBaseUrl("it holds a user name or password"));
        }
        if base.contains('\\') {
            return Err(BadBaseUrl("it has a backslash, which some take for a slash"));
        }
        if base.contains(['?', '#']) {
            return Err(BadBaseUrl("it has a query or a fragment"));
        }
        Ok(Self { base: base.to_owned() })
    }

    /// `BASE_URL`, without a trailing slash.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Whether what is said to this address can be read on the way.
    pub fn is_plain_http(&self) -> bool {
        self.base.starts_with("http://")
    }

    /// Whether it is an address of this computer, which nobody else can call.
    pub fn is_local(&self) -> bool {
        url::Url::parse(&self.base).is_ok_and(|url| crate::clients::is_local(&url))
    }

    /// Host and port, as written in `BASE_URL`.
    pub fn authority(&self) -> &str {
        let rest = self.base.split_once("://").map_or(self.base.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }

    /// Where Twilio asks for TwiML. `call` is the token by which what comes to this and the next addresses is known to be
    /// about a call that this program dialled, even before Twilio has given its SID; inbound calls have none.
    pub fn record(&self, call: Option<&CallId>) -> String {
        self.about("/record/", call)
    }

    /// Where Twilio asks what to do after the recording.
    pub fn record_done(&self, call: Option<&CallId>) -> String {
        self.about("/record/done/", call)
    }

    /// Where Twilio says how a call gets on.
    pub fn call_progress(&self, call: Option<&CallId>) -> String {
        self.about("/hooks/twilio/call", call)
    }

    /// Where Twilio says how a recording gets on.
    pub fn recording_progress(&self, call: Option<&CallId>) -> String {
        self.about("/hooks/twilio/recording", call)
    }

    fn about(&self, path: &str, call: Option<&CallId>) -> String {
        match call {
            Some(call) => format!("{}{path}?t={call}", self.base),
            None => format!("{}{path}", self.base),
        }
    }

    /// Where AssemblyAI says that a transcript is finished. `job` tells one secret from another.
    pub fn transcript_ready(&self, job: &str) -> String {
        format!("{}/hooks/assemblyai?job={job}", self.base)
    }

    /// Where the program looks whether it can be reached, and as whom.
    pub fn probe(&self, probe: &str) -> String {
        format!("{}/_probe/{probe}", self.base)
    }

    /// Path and query of an address that hangs from `BASE_URL`.
    pub fn path_of<'u>(&self, url: &'u str) -> &'u str {
        let scheme = if self.is_plain_http() { "http://" } else { "https://" };
        url.get(scheme.len() + self.authority().len()..).unwrap_or_default()
    }

    /// The URL that Twilio requested, and signed, when this path and query came in.
    pub fn requested(&self, path_and_query: &str) -> String {
        format!("{}{path_and_query}", self.base)
    }
}
