//! The resources of the account, by path.

use super::audio::Format;
use super::credentials::account_path;

/// The resource that a path names. Recordings have a path under the account and one under their call; the `Option` is
/// the call SID in the path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resource<'a> {
    Calls,
    Call(&'a str),
    Recordings(Option<&'a str>),
    Recording(Option<&'a str>, &'a str),
    Media(Option<&'a str>, &'a str, Format),
}

pub(super) fn resource(path: &str) -> Option<Resource<'_>> {
    let rest = path.strip_prefix(&account_path())?.strip_prefix('/')?;
    match rest.split('/').collect::<Vec<_>>().as_slice() {
        ["Calls.json"] => Some(Resource::Calls),
        ["Calls", file] => file.strip_suffix(".json").map(Resource::Call),
        ["Recordings.json"] => Some(Resource::Recordings(None)),
        ["Recordings", file] => Some(recording(None, file)),
        ["Calls", call, "Recordings.json"] => Some(Resource::Recordings(Some(call))),
        ["Calls", call, "Recordings", file] => Some(recording(Some(call), file)),
        _ => None,
    }
}

fn recording<'a>(call: Option<&'a str>, file: &'a str) -> Resource<'a> {
    match file.rsplit_once('.') {
        Some((sid, "json")) => Resource::Recording(call, sid),
        Some((sid, "mp3")) => Resource::Media(call, sid, Format::Mp3),
        Some((sid, "wav")) => Resource::Media(call, sid, Format::Wav),
        _ => Resource::Media(call, file, Format::Wav),
    }
}
