//! Uploads: audio that a client sends as a file or as a URL. It is stored with its first order, as a call that has one recording,
//! so that lists, pages, speakers, corrections and deletion treat it as they treat calls.

use percent_encoding::percent_decode_str;
use url::Url;

use crate::model::call::{Call, CallId, CallName, Kind};
use crate::model::name::Name;
use crate::model::recording::{Recording, RecordingSid, RecordingState, UPLOAD, audio_of_file};
use crate::store::{self, Conn};

/// Audio of no call, as a request for its transcript names it.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    /// The [`audio`](Recording::audio) of its recording, if it is known.
    pub(super) audio: Option<String>,
    /// What it is called: as the client said, or as the file or URL is.
    pub(super) title: Option<Name>,
    /// Whether the client said it.
    is_titled: bool,
    /// What it is filed under.
    tag: Option<Name>,
    pub(super) file_name: Option<Name>,
    /// Known of a WAV file with two.
    pub(super) channels: Option<i64>,
}

impl Upload {
    pub(super) fn of_unknown_audio() -> Self {
        Self { audio: None, title: None, is_titled: false, tag: None, file_name: None, channels: None }
    }

    /// Without a title, it is called as the file.
    pub(super) fn of_file(
        checksum: &str,
        file_name: Option<Name>,
        title: Option<Name>,
        tag: Option<Name>,
        channels: Option<i64>,
    ) -> Self {
        let is_titled = title.is_some();
        let title = title.or_else(|| file_name.as_ref().and_then(title_of_file));
        Self { audio: Some(audio_of_file(checksum)), title, is_titled, tag, file_name, channels }
    }

    /// Without a title, it is called as the last part of the path, or as the host.
    pub(super) fn of_url(url: &str, title: Option<Name>, tag: Option<Name>) -> Self {
        let is_titled = title.is_some();
        let title = title.or_else(|| title_of_url(url));
        Self { audio: Some(url.to_owned()), title, is_titled, tag, file_name: None, channels: None }
    }

    /// Returns the recording of this audio. Inserts it if there is none. Returns `None` if it is being deleted.
    pub(super) async fn find_or_insert(&self, tx: &mut Conn, now: i64) -> Result<Option<RecordingSid>, store::Error> {
        let known = match &self.audio {
            Some(audio) => tx.uploaded(audio).await?,
            None => None,
        };
        if let Some(known) = known {
            let is_there = tx.lock_call(&known.call, now).await?;
            if is_there {
                self.fill_in(tx, &known.call, now).await?;
            }
            return Ok(is_there.then_some(known.sid));
        }
        let upload = Call { tag: self.tag.clone(), ..Call::upload(self.title.clone(), self.file_name.clone(), now) };
        let recording = Recording {
            sid: RecordingSid::new(now),
            call: upload.id.clone(),
            state: RecordingState::Completed,
            duration_seconds: None,
            channels: self.channels,
            source: Some(UPLOAD.to_owned()),
            error_code: None,
            audio: self.audio.clone(),
            over_budget: None,
        };
        tx.add_upload(&upload, &recording).await?;
        Ok(Some(recording.sid))
    }

    /// Gives an upload that is there already the title and the tag that a client has sent with it once more, where it has none
    /// of its own.
    pub(super) async fn fill_in(&self, tx: &mut Conn, id: &CallId, now: i64) -> Result<(), store::Error> {
        let stored = tx.call(&CallName::Id(id.clone())).await?;
        let Some(stored) = stored.filter(|call| call.kind == Kind::Upload && call.deletion.is_none()) else {
            return Ok(());
        };
        let default = match &stored.file_name {
            Some(name) => title_of_file(name),
            None => self.audio.as_deref().and_then(title_of_url),
        };
        if self.is_titled && (stored.title.is_none() || stored.title == default) {
            tx.set_title(&stored, self.title.as_ref(), now).await?;
        }
        match (&self.tag, &stored.tag) {
            (Some(tag), None) => tx.set_tag(id, Some(tag), now).await,
            _ => Ok(()),
        }
    }
}

/// What an upload is called as its file.
fn title_of_file(name: &Name) -> Option<Name> {
    let name = name.as_str();
    Name::beginning(name.rsplit_once('.').map_or(name, |(stem, _)| stem)).or_else(|| Name::beginning(name))
}

/// What an upload is called as the end of its URL.
fn title_of_url(url: &str) -> Option<Name> {
    let parsed = Url::parse(url).ok()?;
    let last = parsed.path_segments()?.rfind(|segment| !segment.is_empty()).map(percent_decode_str);
    let last = last.and_then(|last| Name::beginning(&last.decode_utf8_lossy()));
    last.or_else(|| Name::beginning(parsed.host_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_called_as_its_file_or_as_the_end_of_its_url() {
        let of_file = |name: &str| Upload::of_file("0a", Name::beginning(name), None, None, None).title;
        let of_url = |url: &str| Upload::of_url(url, None, None).title;
        for (title, expected) in [
            (of_file("Visit of May 3.wav"), Some("Visit of May 3")),
            (of_file("notes"), Some("notes")),
            (of_file(".wav"), Some(".wav")),
            (of_file(""), None),
            (of_url("https://example.com/a/my%20talk.mp3?x=1"), Some("my talk.mp3")),
            (of_url("https://example.com/"), Some("example.com")),
        ] {
            assert_eq!(title.as_ref().map(Name::as_str), expected);
        }
        let title = Name::beginning("Rounds");
        assert_eq!(Upload::of_file("0a", Name::beginning("a.wav"), title.clone(), None, None).title, title);
    }
}
