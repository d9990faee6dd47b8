//! TwiML: typed verbs to XML. Pure. Source: <https://www.twilio.com/docs/voice/twiml>.

use quick_xml::Writer;
use quick_xml::escape::escape;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// The most characters that `<Say>` speaks.
const LONGEST_SAY: usize = 4_000;

/// One instruction to Twilio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Speaks a text. Characters that XML cannot hold are left out, and what is beyond 4,000 characters.
    Say(String),
    /// Records until silence, a key, the hang-up or the longest time.
    Record(Record),
    /// Ends the call.
    Hangup,
}

/// How to record. Source: <https://www.twilio.com/docs/voice/twiml/record>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What Twilio asks next. Without it Twilio would ask for the same document again, for ever.
    pub action: String,
    /// Where Twilio says that the recording has begun, and that it can be fetched or never will.
    pub recording_status_callback: String,
    /// Seconds.
    pub max_length: u32,
    /// Seconds of silence that end it.
    pub timeout: u32,
}

/// The document that tells Twilio to do this, one after the other.
pub fn response(verbs: &[Verb]) -> String {
    let mut writer = Writer::new(Vec::new());
    let mut write = |event: Event<'_>| writer.write_event(event).expect("a Vec takes every byte");
    write(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    write(Event::Start(BytesStart::new("Response")));
    for verb in verbs {
        match verb {
            Verb::Say(text) => {
                write(Event::Start(BytesStart::new("Say")));
                write(Event::Text(BytesText::from_escaped(escape(speakable(text)))));
                write(Event::End(BytesEnd::new("Say")));
            }
            Verb::Record(record) => {
                let (max_length, timeout) = (record.max_length.to_string(), record.timeout.to_string());
                write(Event::Empty(BytesStart::new("Record").with_attributes([
                    ("action", record.action.as_str()),
                    ("method", "POST"),
                    ("timeout", &timeout),
                    ("maxLength", &max_length),
                    ("recordingStatusCallback", &record.recording_status_callback),
                    ("recordingStatusCallbackMethod", "POST"),
                    ("recordingStatusCallbackEvent", "in-progress completed absent"),
                ])));
            }
            Verb::Hangup => write(Event::Empty(BytesStart::new("Hangup"))),
        }
    }
    write(Event::End(BytesEnd::new("Response")));
    String::from_utf8(writer.into_inner()).expect("what is written is UTF-8")
}

/// The characters that XML 1.0 allows, of the first 4,000. quick-xml escapes markup but lets the others through, and
/// Twilio then says "an application error has occurred" to the person who picked up.
fn speakable(text: &str) -> String {
    let allowed = |char: &char| matches!(char, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}');
    text.chars().filter(allowed).take(LONGEST_SAY).collect()
}
