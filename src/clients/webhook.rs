//! Sends webhooks after the Standard Webhooks specification to receivers that the operator names. Source:
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.
//!
//! A request goes straight to the receiver, through no proxy, and follows no redirect. The addresses that a name resolves to
//! are checked when they are connected to, so that no name leads into our network.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode};
use sha2::Sha256;
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::network::{is_inside, is_local_name, is_of_a_link, literal};
use super::sender::{retry_after, transport};
use super::{Kind, is_local, tls};
use crate::metrics::Requests;

/// Timeout of connecting to each address of a receiver.
const CONNECT: Duration = Duration::from_secs(5);

/// Idle connections to a receiver that are kept.
const IDLE_CONNECTIONS: usize = 8;

/// Bytes of a response that are read. The connection of a longer one is closed.
const LARGEST_ANSWER: usize = 64 << 10;

/// Characters of a response that are kept.
const LONGEST_KEPT: usize = 500;

/// Maximum length of a receiver's URL in bytes.
const LONGEST_URL: usize = 2_000;

/// Why an address is refused.
const PRIVATE: &str = "its address is private, and WEBHOOKS_TO_PRIVATE_ADDRESSES does not allow that";
const OF_A_LINK: &str = "its address is link-local, where a cloud has its metadata service";

/// Where receivers may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// At public addresses.
    Internet,
    /// There, and on this computer.
    ThisComputer,
    /// Anywhere but at the addresses of a link.
    Anywhere,
}

impl Reach {
    fn covers(self, ip: IpAddr) -> bool {
        match self {
            Self::Internet => !is_inside(ip),
            Self::ThisComputer => !is_inside(ip) || ip.to_canonical().is_loopback(),
            Self::Anywhere => !is_of_a_link(ip),
        }
    }

    /// Why an address is not covered.
    fn refusal(self) -> &'static str {
        if self == Self::Anywhere { OF_A_LINK } else { PRIVATE }
    }

    fn allows_plain_http(self, url: &Url) -> bool {
        match self {
            Self::Internet => false,
            Self::ThisComputer => is_local(url),
            Self::Anywhere => true,
        }
    }

    /// Parses the URL of a receiver. Resolves no name.
    pub fn parse(self, text: &str) -> Result<Url, BadReceiver> {
        let url = Url::parse(text).map_err(|_| BadReceiver("expected an https URL"))?;
        let is_plain = url.scheme() == "http" && self.allows_plain_http(&url);
        if text.len() > LONGEST_URL {
            return Err(BadReceiver("expected a URL of at most 2000 bytes"));
        }
        if url.scheme() != "https" && !is_plain {
            return Err(BadReceiver("expected an https URL: others can read plain http"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(BadReceiver("expected a URL without a user name, a password or a fragment"));
        }
        let is_refused = literal(&url).is_some_and(|ip| !self.covers(ip));
        if is_refused || is_local_name(&url) && self == Self::Internet {
            return Err(BadReceiver(self.refusal()));
        }
        Ok(url)
    }
}

/// Why a URL cannot be a receiver's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadReceiver(&'static str);

/// One attempt at a delivery.
#[derive(Debug)]
pub struct Attempt<'a> {
    pub url: &'a str,
    pub id: &'a str,
    /// In seconds since 1970.
    pub timestamp: i64,
    /// One for each secret.
    pub signatures: Vec<String>,
    pub body: String,
}

/// What a receiver answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookAnswer {
    pub status: u16,
    /// The beginning of the body.
    pub text: String,
    pub retry_after: Option<Duration>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    #[error("could not be reached: {0}")]
    Unreachable(String),
    #[error("did not answer within {} seconds", .0.as_secs())]
    TooSlow(Duration),
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// Returns the signature of a webhook by this key.
pub fn signature(key: &[u8], id: &str, timestamp: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Sends webhooks.
#[derive(Debug)]
pub struct Webhooks {
    http: reqwest::Client,
    pub reach: Reach,
    deadline: Duration,
    requests: Requests,
}

impl Webhooks {
    /// A receiver may take this long for its whole answer.
    pub fn new(reach: Reach, deadline: Duration, requests: Requests) -> Self {
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config())
            .user_agent(concat!("callscribe/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .no_proxy()
            .dns_resolver(Arc::new(Checked(reach)));
        Self { http: builder.build().expect("a client with TLS set up builds"), reach, deadline, requests }
    }

    /// Sends a webhook once.
    pub async fn send(&self, attempt: Attempt<'_>) -> Result<WebhookAnswer, NoAnswer> {
        let begun = Instant::now();
        let answer = self.answer(attempt).await;
        let outcome = match &answer {
            Ok(WebhookAnswer { status: 200..300, .. }) => "ok",
            Ok(WebhookAnswer { status: 500.., .. }) => "unavailable",
            Ok(_) => "rejected",
            Err(NoAnswer::Unreachable(_)) => "unreachable",
            Err(NoAnswer::TooSlow(_)) => "timeout",
            Err(NoAnswer::Broken(_)) => "broken",
        };
        self.requests.note("receiver", "deliver", outcome, begun.elapsed());
        answer
    }

    async fn answer(&self, attempt: Attempt<'_>) -> Result<WebhookAnswer, NoAnswer> {
        // A name is checked when it is resolved. No request resolves an address.
        let url = self.reach.parse(attempt.url).map_err(|bad| NoAnswer::Unreachable(bad.to_string()))?;
        let request = self.http.post(url).headers(headers(&attempt)).body(attempt.body);
        let deadline = Instant::now() + self.deadline;
        match timeout_at(deadline, request.send()).await {
            Ok(Ok(mut response)) => Ok(WebhookAnswer {
                status: response.status().as_u16(),
                retry_after: retry_after(response.headers()),
                // Whatever becomes of the body, the status is the answer.
                text: timeout_at(deadline, beginning(&mut response)).await.unwrap_or_default(),
            }),
            Err(_) => Err(NoAnswer::TooSlow(self.deadline)),
            Ok(Err(error)) => Err(match transport(error) {
                Kind::Unreachable(why) => NoAnswer::Unreachable(why),
                Kind::Broken(why) => NoAnswer::Broken(why),
                _ => NoAnswer::TooSlow(self.deadline),
            }),
        }
    }
}

fn headers(attempt: &Attempt<'_>) -> HeaderMap {
    let value = |text: &str| HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("webhook-id", value(attempt.id));
    headers.insert("webhook-timestamp", attempt.timestamp.into());
    headers.insert("webhook-signature", value(&attempt.signatures.join(" ")));
    headers
}

/// Reads a body, and returns how it begins. A body that is read to its end leaves the connection for the next request.
async fn beginning(response: &mut Response) -> String {
    let mut body = Vec::new();
    while response.status() != StatusCode::NO_CONTENT
        && body.len() <= LARGEST_ANSWER
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    let text = String::from_utf8_lossy(&body);
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_KEPT).collect()
}

/// Resolves names, and returns only addresses that may be connected to.
struct Checked(Reach);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = lookup_host((name.as_str(), 0)).await?.collect();
            let is_known = !found.is_empty();
            let allowed: Vec<SocketAddr> = found.into_iter().filter(|address| reach.covers(address.ip())).collect();
            if allowed.is_empty() && is_known {
                return Err(io::Error::other(reach.refusal()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the specification's own libraries: <https://github.com/standard-webhooks/standard-webhooks>.
    #[test]
    fn a_webhook_is_signed_as_the_specification_shows() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_receiver_has_an_https_url_at_a_public_address() {
        for (text, [internet, this_computer, anywhere]) in [
            ("https://example.com/hooks?a=b", [true, true, true]),
            ("https://203.0.113.7/", [true, true, true]),
            ("http://example.com/", [false, false, true]),
            ("http://127.0.0.1:9000/", [false, true, true]),
            ("https://localhost/", [false, true, true]),
            ("https://[::ffff:127.0.0.1]/", [false, true, true]),
            ("https://10.0.0.1/", [false, false, true]),
            ("http://192.168.1.5/hook", [false, false, true]),
            ("https://[fd00::1]/", [false, false, true]),
            ("https://169.254.169.254/latest", [false, false, false]),
            ("https://user:password@example.com/", [false, false, false]),
            ("https://example.com/#part", [false, false, false]),
            ("ftp://example.com/", [false, false, false]),
            ("example.com", [false, false, false]),
        ] {
            let reaches = [Reach::Internet, Reach::ThisComputer, Reach::Anywhere];
            assert_eq!(reaches.map(|reach| reach.parse(text).is_ok()), [internet, this_computer, anywhere], "{text}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_computer_is_refused_when_it_is_connected_to() {
        let resolved = async |reach| {
            let found = Checked(reach).resolve("localhost".parse().unwrap()).await;
            found.map(|addresses| addresses.count()).map_err(|error| error.to_string())
        };
        assert_eq!(resolved(Reach::Internet).await, Err(PRIVATE.to_owned()));
        assert!(resolved(Reach::ThisComputer).await.unwrap() > 0);

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        let refused =
            Webhooks::new(Reach::Internet, Duration::from_secs(15), Requests::default()).http.post(url).send().await;
        assert_eq!(transport(refused.unwrap_err()), Kind::Unreachable(PRIVATE.to_owned()));
        let nobody = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
        assert!(nobody.is_err(), "somebody connected");
    }
}
