//! What an export says of the calls and uploads that match. It reads them page after page, with their current transcripts, and
//! holds a few transcripts in memory at a time. Knows nothing of HTTP.

use std::collections::{HashMap, HashSet};
use std::io;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::document::{Heading, stem};
use super::error::ApiError;
use super::items::{Pages, item};
use super::reading::{Paragraph, dialog, paragraphs};
use super::said::exported;
use super::view::CallRow;
use super::zone::Zone;
use crate::accuracy::marks::UNKNOWN;
use crate::context::Shared;
use crate::export::Cell::{Foreign, Own};
use crate::export::{self, csv_row};
use crate::model::call::{Call, CallId};
use crate::model::phone::PhoneNumber;
use crate::model::search::Query;
use crate::model::speakers::Speakers;
use crate::store::{Current, Spoken};

/// Characters of transcripts that are read at once, unless a single one has more. Their words take a hundred times the memory.
/// So few need no turn to be read.
const AT_ONCE: i64 = 12 << 10;

/// Bytes of AssemblyAI's JSON for each character of its text, about.
const JSON_OF_CHARACTER: usize = 20;

/// A call or an upload to export.
pub(super) struct Exported {
    row: CallRow,
    speakers: Speakers,
    /// The current transcript of each of its recordings in which something is said.
    transcripts: Vec<Transcript>,
}

/// A current transcript.
struct Transcript {
    about: Current,
    /// Nothing, if the words are not wanted.
    spoken: Spoken,
}

/// Reads what matches. Blocks its thread while it does.
pub(super) struct Reader<'r> {
    pub(super) handle: Handle,
    pub(super) context: Shared,
    /// What may wait for the client, and fails if it has gone: while some calls are read and written, other readers may wait for
    /// the turn of these.
    pub(super) after_each_read: &'r dyn Fn() -> io::Result<()>,
}

impl Reader<'_> {
    /// Hands over each call or upload, without what was said unless it `is_spoken`. Ends with the first failure to write one.
    pub(super) fn each(
        &self,
        mut pages: Pages,
        is_spoken: bool,
        write: &mut dyn FnMut(Exported) -> io::Result<()>,
    ) -> io::Result<()> {
        // A search finds a call again for each of its recordings. Only few calls have several.
        let mut had = HashSet::new();
        while let Some(page) = self.wait(pages.next(&self.context))? {
            let ids: Vec<&str> = page.iter().map(|(call, _)| call.id.as_str()).collect();
            let found = self.wait(async { Ok(self.context.store.read().await?.current_transcripts(&ids).await?) })?;
            let mut currents: HashMap<CallId, Vec<Current>> = HashMap::new();
            for one in found {
                currents.entry(one.call.clone()).or_default().push(one);
            }
            let mut batch: Vec<(Call, CallRow, Vec<Current>)> = Vec::new();
            let mut length = 0;
            for (call, row) in page {
                let own = currents.get(&call.id).cloned().unwrap_or_default();
                if own.len() > 1 && !had.insert(call.id.clone()) {
                    continue;
                }
                let more: i64 = own.iter().map(|one| one.length).sum();
                if length > 0 && length + more > AT_ONCE {
                    self.batch(std::mem::take(&mut batch), is_spoken, write)?;
                    length = 0;
                }
                length += more;
                batch.push((call, row, own));
            }
            self.batch(batch, is_spoken, write)?;
        }
        Ok(())
    }

    fn batch(
        &self,
        batch: Vec<(Call, CallRow, Vec<Current>)>,
        is_spoken: bool,
        write: &mut dyn FnMut(Exported) -> io::Result<()>,
    ) -> io::Result<()> {
        if batch.is_empty() {
            return (self.after_each_read)();
        }
        let all: Vec<Current> = batch.iter().filter(|_| is_spoken).flat_map(|(.., own)| own.clone()).collect();
        let json: usize =
            all.iter().map(|one| usize::try_from(one.length).unwrap_or_default() * JSON_OF_CHARACTER).sum();
        let turn = self.handle.block_on(self.context.turn_to_show(json));
        let (mut spoken, mut names) = self.wait(async {
            let mut conn = self.context.store.read().await?;
            let calls: Vec<&str> = all.iter().map(|one| one.call.as_str()).collect();
            Ok((conn.spoken_in(&all).await?, conn.names_of_calls(&calls).await?))
        })?;
        for (call, row, own) in batch {
            let contact = call.contact.as_ref().map(ToString::to_string);
            let speakers = Speakers::of(&call, names.remove(call.id.as_str()).unwrap_or_default(), contact);
            let read = |about: Current| {
                let spoken = spoken.remove(about.order.as_str());
                // One whose call somebody deletes meanwhile says nothing any more.
                let spoken = if is_spoken { spoken? } else { Spoken::default() };
                Some(Transcript { about, spoken })
            };
            let transcripts = own.into_iter().filter_map(read).collect();
            write(Exported { row, speakers, transcripts })?;
        }
        drop(turn);
        (self.after_each_read)()
    }

    fn wait<T>(&self, read: impl Future<Output = Result<T, ApiError>>) -> io::Result<T> {
        self.handle.block_on(read).map_err(io::Error::other)
    }
}

/// The columns of the CSV, named as in the JSON of `/items`, but for the last, which is what each export has of transcripts.
pub(super) fn header(last: &str) -> String {
    let columns = [
        "id",
        "sid",
        "kind",
        "call_kind",
        "created_at",
        "direction",
        "contact",
        "number",
        "title",
        "tag",
        "state",
        "progress",
        "reason",
        "duration_seconds",
        "cost_usd",
        "checked",
        last,
    ];
    csv_row(columns.map(Own))
}

impl Exported {
    /// A row of the CSV.
    pub(super) fn csv(&self, zone: &Zone, last: &str) -> String {
        let CallRow { call, progress, duration_seconds, cost_usd, .. } = &self.row;
        let is_upload = call.is_upload();
        let text = |text: Option<&String>| text.cloned().unwrap_or_default();
        let [seconds, cost] = [duration_seconds.map(|n| n.to_string()), cost_usd.map(|cost| json!(cost).to_string())];
        let at = call.created_at.map(|at| zone.iso(at)).unwrap_or_default();
        let number = call.number().unwrap_or_default();
        let is_number = number.parse::<PhoneNumber>().is_ok();
        csv_row([
            Own(&text(call.id.as_ref())),
            Own(&text(call.sid.as_ref())),
            Own(if is_upload { call.kind } else { "call" }),
            Own(if is_upload { "" } else { call.kind }),
            Own(&at),
            Own(if is_upload { "" } else { call.direction.as_str() }),
            Foreign(call.contact.as_ref().map_or("", |contact| &contact.name)),
            if is_number { Own(number) } else { Foreign(number) },
            Foreign(call.title.as_deref().unwrap_or_default()),
            Foreign(call.tag.as_deref().unwrap_or_default()),
            Foreign(&call.state),
            Own(progress.as_str()),
            Foreign(call.reason.as_deref().unwrap_or_default()),
            Own(&seconds.unwrap_or_default()),
            Own(&cost.unwrap_or_default()),
            Own(if call.checked { "true" } else { "false" }),
            Foreign(last),
        ])
    }

    /// What was said in all recordings.
    pub(super) fn text(&self) -> String {
        self.transcripts.iter().map(|one| self.text_of(one)).collect::<Vec<_>>().join("\n\n")
    }

    /// As `/transcript/<id>?format=text` has it.
    fn text_of(&self, Transcript { spoken, .. }: &Transcript) -> String {
        dialog(&spoken.words, &self.speakers).unwrap_or_else(|| spoken.text.clone())
    }

    /// A line of the JSON Lines: the item with its current transcripts.
    pub(super) fn json(mut self) -> String {
        let mut item = item(&self.row);
        let transcripts = std::mem::take(&mut self.transcripts).into_iter().map(|one| self.transcript(one));
        item["transcripts"] = transcripts.collect();
        item.to_string() + "\n"
    }

    fn transcript(&self, transcript: Transcript) -> Value {
        let text = self.text_of(&transcript);
        let Transcript { about, spoken } = transcript;
        let paragraphs = paragraphs(spoken.words, &Query::default(), &self.speakers, UNKNOWN);
        let paragraphs: Vec<Value> = paragraphs.iter().map(Paragraph::json).collect();
        json!({
            "id": about.id.as_str(),
            "speech_model_used": about.speech_model,
            "version": spoken.version,
            "checked": spoken.is_checked,
            "duration_seconds": about.seconds,
            "text": text,
            "paragraphs": paragraphs,
        })
    }

    /// The documents of its transcripts, each with its path in the archive, without an extension.
    pub(super) fn documents(mut self, zone: &Zone) -> Vec<(String, export::Document)> {
        let transcripts = std::mem::take(&mut self.transcripts);
        let document = |one: Transcript| {
            let Transcript { about, spoken } = one;
            let heading = Heading {
                call: Some(&self.row.call),
                at: self.row.call.created_at,
                seconds: about.seconds,
                model: about.speech_model.as_deref(),
                is_checked: spoken.is_checked,
                parameters: &about.parameters,
            };
            let paragraphs = exported(spoken.words, &spoken.text, &self.speakers, true);
            (self.path(&about, zone), heading.document(zone, paragraphs))
        };
        transcripts.into_iter().map(document).collect()
    }

    /// The paths of its documents, as the archive's list of calls has them.
    pub(super) fn paths(&self, zone: &Zone) -> String {
        self.transcripts.iter().map(|one| self.path(&one.about, zone) + ".docx").collect::<Vec<_>>().join("\n")
    }

    /// When the call was made.
    pub(super) fn at(&self) -> Option<Timestamp> {
        self.row.call.created_at
    }

    /// The month, and in it when the call was and with whom. The end of the id makes it the only one of its name.
    fn path(&self, about: &Current, zone: &Zone) -> String {
        let call = &self.row.call;
        let month = call.created_at.map(|at| zone.month(at) + "/").unwrap_or_default();
        let id: Vec<char> = about.id.as_str().chars().filter(char::is_ascii_alphanumeric).collect();
        let end: String = id[id.len().saturating_sub(8)..].iter().collect();
        format!("{month}{} {end}", stem(call, zone))
    }
}
