//! TwiML: typed verbs to XML. Pure. Source: <https://www.twilio.com/docs/voice/twiml>.

use quick_xml::Writer;
use quick_xml::escape::escape;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// Maximum number of characters that `<Say>` speaks.
const LONGEST_SAY: usize = 4_000;

/// A TwiML verb: <https://www.twilio.com/docs/voice/twiml>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Speaks.
    Say(Say),
    /// Records until silence, a key press, the end of the call or `max_length`. Silence is not cut off, so that times in the
    /// recording are those of the call.
    Record(Record),
    /// Ends the call.
    Hangup,
}

/// Source: <https://www.twilio.com/docs/voice/twiml/say>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Say {
    /// Its first 4,000 characters are spoken, without those that XML does not allow.
    pub text: String,
    /// Such as `de-DE`. Twilio's default is that of the voice.
    pub language: Option<String>,
    /// Such as `Polly.Vicki-Neural`.
    pub voice: Option<String>,
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
    /// Seconds of silence that end the recording; 0 if silence never does.
    pub timeout: u32,
    /// The key that ends the recording.
    pub finish_on_key: Option<char>,
}

/// Returns the TwiML document with these verbs.
pub fn response(verbs: &[Verb]) -> String {
    let mut writer = Writer::new(Vec::new());
    let mut write = |event: Event<'_>| writer.write_event(event).expect("a Vec takes every byte");
    write(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    write(Event::Start(BytesStart::new("Response")));
    for verb in verbs {
        match verb {
            Verb::Say(Say { text, language, voice }) => {
                let attributes = [("language", language.as_deref()), ("voice", voice.as_deref())];
                let set = attributes.into_iter().filter_map(|(name, value)| Some((name, value?)));
                write(Event::Start(BytesStart::new("Say").with_attributes(set)));
                write(Event::Text(BytesText::from_escaped(escape(speakable(text)))));
                write(Event::End(BytesEnd::new("Say")));
            }
            Verb::Record(record) => {
                let (max_length, timeout) = (record.max_length.to_string(), record.timeout.to_string());
                let finish_on_key = record.finish_on_key.map(String::from).unwrap_or_default();
                write(Event::Empty(BytesStart::new("Record").with_attributes([
                    ("action", record.action.as_str()),
                    ("method", "POST"),
                    ("timeout", &timeout),
                    ("finishOnKey", &finish_on_key),
                    ("maxLength", &max_length),
                    ("trim", "do-not-trim"),
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
