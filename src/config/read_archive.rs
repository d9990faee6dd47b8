//! Parses the settings of the archive.

use std::path::PathBuf;

use url::Url;

use super::env::Env;
use super::value::{api_url, hosts, secret};
use crate::clients;
use crate::clients::archive::{Bucket, Place};

/// Returns `None` for a problem, and `Some(None)` if there is no archive.
pub(super) fn read_archive(env: &mut Env) -> Option<Option<Place>> {
    let Some(url) = env.read_if_set("ARCHIVE_URL", parse)? else { return Some(None) };
    let (name, prefix) = match url {
        ArchiveUrl::Folder(folder) => return Some(Some(Place::Folder(folder))),
        ArchiveUrl::Bucket { name, prefix } => (name, prefix),
    };
    for key in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        if !env.is_set(key) {
            env.refuse(key, "missing; ARCHIVE_URL is a bucket, which needs it");
        }
    }
    let access_key_id = env.read_if_set("AWS_ACCESS_KEY_ID", |text| Ok(text.to_owned()));
    let secret_access_key = env.read_if_set("AWS_SECRET_ACCESS_KEY", secret);
    let region = env.read("AWS_REGION", |text| Ok(text.to_owned()));
    let endpoint = env.read_if_set("AWS_ENDPOINT_URL", api_url)?;
    let plain_hosts = env.read_if_set("PLAIN_HTTP_HOSTS", hosts)?.unwrap_or_default();
    let is_named = |url: &Url| plain_hosts.iter().any(|host| Some(host.as_str()) == url.host_str());
    if endpoint.as_ref().is_some_and(|url| url.scheme() == "http" && !clients::is_local(url) && !is_named(url)) {
        let expected = "expected https, or else the host's name in PLAIN_HTTP_HOSTS: others can listen to plain http";
        env.refuse("AWS_ENDPOINT_URL", expected);
    }
    let (access_key_id, secret_access_key) = (access_key_id??, secret_access_key??);
    Some(Some(Place::Bucket(Bucket { name, prefix, region: region?, endpoint, access_key_id, secret_access_key })))
}

#[derive(Debug, PartialEq, Eq)]
enum ArchiveUrl {
    Folder(PathBuf),
    Bucket { name: String, prefix: String },
}

fn parse(text: &str) -> Result<ArchiveUrl, String> {
    let expected = || "expected file:///folder or s3://bucket/prefix, without a query".to_owned();
    let url = Url::parse(text).map_err(|_| expected())?;
    let has_extras = url.query().is_some() || url.fragment().is_some() || !url.username().is_empty();
    if has_extras || url.password().is_some() || url.port().is_some() {
        return Err(expected());
    }
    match url.scheme() {
        "file" if url.host_str().is_none() => {
            let folder = url.to_file_path().map_err(|()| expected())?;
            if folder.parent().is_none() { Err(expected()) } else { Ok(ArchiveUrl::Folder(folder)) }
        }
        "s3" => {
            let name = url.host_str().filter(|name| !name.is_empty()).ok_or_else(expected)?.to_owned();
            let prefix = url.path().trim_matches('/').to_owned();
            let is_plain = prefix.split('/').all(|part| part != "." && part != "..") && !prefix.contains("//");
            if is_plain { Ok(ArchiveUrl::Bucket { name, prefix }) } else { Err(expected()) }
        }
        _ => Err(expected()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_a_folder_or_a_bucket() {
        let bucket =
            |name: &str, prefix: &str| Some(ArchiveUrl::Bucket { name: name.to_owned(), prefix: prefix.to_owned() });
        for (text, expected) in [
            ("file:///var/recordings", Some(ArchiveUrl::Folder("/var/recordings".into()))),
            ("file:///var/my%20recordings/", Some(ArchiveUrl::Folder("/var/my recordings/".into()))),
            ("s3://recordings", bucket("recordings", "")),
            ("s3://recordings/clinic/calls/", bucket("recordings", "clinic/calls")),
            ("file:///", None),
            ("file://server/share", None),
            ("/var/recordings", None),
            ("s3:///prefix", None),
            ("s3://key:secret@recordings", None),
            ("s3://recordings/a?b", None),
            ("https://example.com/recordings", None),
            ("", None),
        ] {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
    }
}
