//! Parses values of several settings.

use secrecy::SecretString;
use url::Url;

pub(super) fn secret(text: &str) -> Result<SecretString, String> {
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    if printable { Ok(text.into()) } else { Err("expected printable ASCII characters without spaces".to_owned()) }
}

pub(super) fn api_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| {
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && plain && url.fragment().is_none()
    });
    url.ok_or_else(|| "expected an http(s) URL without credentials, query or fragment".to_owned())
}

/// Parses names of hosts, as URLs spell them.
pub(super) fn hosts(text: &str) -> Result<Vec<String>, String> {
    let host = |name: &str| {
        let is_name = !name.contains(['/', '\\', '?', '#', '@']) && (name.ends_with(']') || !name.contains(':'));
        let url = Url::parse(&format!("http://{name}/")).ok().filter(|_| is_name)?;
        Some(url.host_str()?.to_owned())
    };
    let hosts: Option<Vec<String>> = text.split(',').map(|name| host(name.trim())).collect();
    hosts.ok_or_else(|| "expected names of hosts, separated by commas".to_owned())
}
