//! Callbacks signed as the vendors sign them, with any content.

use callscribe::internals::signature::{self, Algorithm, Param};
use callscribe::sandbox::twilio;
use reqwest::Method;
use url::form_urlencoded;

use super::{Answer, World};

/// The content type of a form.
pub(crate) const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A call of the sandbox's account.
pub(crate) const CALL: &str = "CA0123456789abcdef0123456789abcdef";

/// Parameters that Twilio sends with every call.
pub(crate) const CALL_PARAMS: [(&str, &str); 6] = [
    ("AccountSid", twilio::ACCOUNT_SID),
    ("ApiVersion", "2010-04-01"),
    ("CallSid", CALL),
    ("CallStatus", "in-progress"),
    ("Direction", "outbound-api"),
    ("To", "+14155551234"),
];

/// Owned names and values.
pub(crate) fn owned(params: &[(&str, &str)]) -> Vec<Param> {
    params.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// Names and values, encoded as a form or query.
pub(crate) fn encode(params: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}

/// The signature of Twilio's request to this URL.
pub(crate) fn sign(url: &str, params: &[(&str, &str)]) -> String {
    signature::sign(Algorithm::HmacSha1, twilio::AUTH_TOKEN, url, &owned(params))
}

impl World {
    /// Posts a form, signed for the program's own address.
    pub(crate) async fn callback(&self, path: &str, params: &[(&str, &str)]) -> Answer {
        let signature = sign(&format!("{}{path}", self.base), params);
        self.signed(Method::POST, path, &signature, &encode(params)).await
    }

    /// Sends a form with a signature.
    pub(crate) async fn signed(&self, method: Method, path: &str, signature: &str, form: &str) -> Answer {
        self.send(method, path, &[FORM, (signature::HEADER, signature)], form).await
    }
}
