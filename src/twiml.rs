//! TwiML: typed verbs to XML. Pure. Source: <https://www.twilio.com/docs/voice/twiml>.

use quick_xml::Writer;
use quick_xml::escape::escape;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// Maximum number of characters that `<Say>` speaks.
const LONGEST_SAY: usize = 4_000;

/// A TwiML verb: <https://www.twilio.com/docs/voice/twiml>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Speaks the first 4,000 characters of a text, without those that XML does not allow.
    Say(String),
    /// Records until silence, a key press, the end of the call or `max_length`.
    Record(Record),
    /// Ends the call.
    Hangup,
}

/// Source: <https://www.twilio.com/docs/voice/twiml/record>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// URL of the next TwiML. Without it Twilio would request the same document forever.
    pub action: String,
    /// The URL that Twilio reports the recording to.
    pub recording_status_callback: String,
    /// Seconds.
    pub max_length: u32,
    /// Seconds of silence that end the recording.
    pub timeout: u32,
}

/// Returns the TwiML document with these verbs.
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
    String::from_utf8(writer.into_inner()).expect("the writer writes UTF-8")
}

/// Drops the characters that XML 1.0 does not allow and cuts the text to [`LONGEST_SAY`]. quick-xml lets those characters
/// through, and Twilio then tells the callee that "an application error has occurred".
fn speakable(text: &str) -> String {
    let allowed = |char: &char| matches!(char, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}');
    text.chars().filter(allowed).take(LONGEST_SAY).collect()
}
