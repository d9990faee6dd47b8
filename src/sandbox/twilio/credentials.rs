//! The account's ids and credentials. They are fixed and public, and only the sandbox accepts them.

pub const ACCOUNT_SID: &str = "AC5a9db0c05a9db0c05a9db0c05a9db0c0";
/// The same account at another API, see [`Twilio::speak_as_another_api`](super::Twilio::speak_as_another_api).
pub const ACCOUNT_UUID: &str = "5a9db0c0-5a9d-b0c0-5a9d-b0c05a9db0c0";
/// The password of the account, and the key that signs callbacks.
pub const AUTH_TOKEN: &str = "sandbox-twilio-auth-token";
/// Accepted as the user name of Basic authentication, like the account's SID.
pub const API_KEY_SID: &str = "SK5a9db0c05a9db0c05a9db0c05a9db0c0";
pub const API_KEY_SECRET: &str = "sandbox-twilio-api-secret";
/// The account's only number. Twilio's test credentials allow it as `From`.
pub const PHONE_NUMBER: &str = "+15005550006";

pub(super) const PHONE_NUMBER_SID: &str = "PN5a9db0c05a9db0c05a9db0c05a9db0c0";
pub(super) const API_VERSION: &str = "2010-04-01";

/// Returns the path that all resources of the account begin with.
pub(super) fn account_path() -> String {
    format!("/{API_VERSION}/Accounts/{ACCOUNT_SID}")
}
