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
    /// Asks for a key.
    Gather(Gather),
    /// Connects the call with the first of some phones that is answered.
    Dial(Dial),
    /// Waits for some seconds.
    Pause(u32),
    /// Continues with the TwiML at this URL.
    Redirect(String),
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

/// In Twilio's own voice, for sentences of this program.
impl<T: Into<String>> From<T> for Say {
    fn from(text: T) -> Self {
        Self { text: text.into(), language: None, voice: None }
    }
}

/// Asks for one key, any of them. Source: <https://www.twilio.com/docs/voice/twiml/gather>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gather {
    /// URL of the next TwiML, which is requested with the key, or without one if none was pressed.
    pub action: String,
    /// What is said meanwhile.
    pub say: Say,
    /// Seconds to wait after that.
    pub timeout: u32,
}

/// Rings all phones at once. What is said is recorded from the answer on, with this call on the first channel and the
/// phone that answered on the second. Source: <https://www.twilio.com/docs/voice/twiml/dial>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dial {
    /// E.164. Without it, the phones show the number of the caller.
    pub caller_id: Option<String>,
    /// URL of the next TwiML.
    pub action: String,
    /// The URL that Twilio reports the recording to.
    pub recording_status_callback: String,
    /// Seconds that the phones ring. Twilio's default is 30.
    pub timeout: Option<u32>,
    /// Maximum duration in seconds.
    pub time_limit: u32,
    /// Twilio rings at most ten.
    pub phones: Vec<Phone>,
}

/// A phone that `<Dial>` rings. Source: <https://www.twilio.com/docs/voice/twiml/number>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phone {
    /// E.164.
    pub number: String,
    /// URL of the TwiML that the person who answers hears before the two are connected.
    pub url: String,
    /// The URL that Twilio reports the states of this leg to.
    pub status_callback: String,
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
            Verb::Say(say) => write_say(&mut write, say),
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
            Verb::Gather(Gather { action, say, timeout }) => {
                write(Event::Start(BytesStart::new("Gather").with_attributes([
                    ("action", action.as_str()),
                    ("method", "POST"),
                    ("numDigits", "1"),
                    ("timeout", &timeout.to_string()),
                    // Otherwise `#` would count as no key.
                    ("finishOnKey", ""),
                    ("actionOnEmptyResult", "true"),
                ])));
                write_say(&mut write, say);
                write(Event::End(BytesEnd::new("Gather")));
            }
            Verb::Dial(dial) => {
                write(Event::Start(dial_start(dial)));
                for Phone { number, url, status_callback } in &dial.phones {
                    let start = BytesStart::new("Number").with_attributes([
                        ("url", url.as_str()),
                        ("method", "POST"),
                        ("statusCallback", status_callback),
                        ("statusCallbackMethod", "POST"),
                        ("statusCallbackEvent", "initiated ringing answered completed"),
                    ]);
                    element(&mut write, start, number);
                }
                write(Event::End(BytesEnd::new("Dial")));
            }
            Verb::Pause(seconds) => {
                let length = seconds.to_string();
                write(Event::Empty(BytesStart::new("Pause").with_attributes([("length", length.as_str())])));
            }
            Verb::Redirect(url) => {
                element(&mut write, BytesStart::new("Redirect").with_attributes([("method", "POST")]), url);
            }
            Verb::Hangup => write(Event::Empty(BytesStart::new("Hangup"))),
        }
    }
    write(Event::End(BytesEnd::new("Response")));
    String::from_utf8(writer.into_inner()).expect("the writer writes UTF-8")
}

fn write_say(write: &mut impl FnMut(Event<'_>), Say { text, language, voice }: &Say) {
    let attributes = [("language", language.as_deref()), ("voice", voice.as_deref())];
    let set = attributes.into_iter().filter_map(|(name, value)| Some((name, value?)));
    element(write, BytesStart::new("Say").with_attributes(set), text);
}

/// Writes an element that holds only text.
fn element(write: &mut impl FnMut(Event<'_>), start: BytesStart<'_>, text: &str) {
    let end = start.to_end().into_owned();
    write(Event::Start(start.borrow()));
    write(Event::Text(BytesText::from_escaped(escape(speakable(text)))));
    write(Event::End(end));
}

fn dial_start(dial: &Dial) -> BytesStart<'_> {
    let mut start = BytesStart::new("Dial").with_attributes([
        ("action", dial.action.as_str()),
        ("method", "POST"),
        ("timeLimit", &dial.time_limit.to_string()),
        ("record", "record-from-answer-dual"),
        // So that times in the recording are those of the conversation.
        ("trim", "do-not-trim"),
        ("recordingStatusCallback", &dial.recording_status_callback),
        ("recordingStatusCallbackMethod", "POST"),
        ("recordingStatusCallbackEvent", "in-progress completed absent"),
    ]);
    if let Some(caller_id) = &dial.caller_id {
        start.push_attribute(("callerId", caller_id.as_str()));
    }
    if let Some(timeout) = dial.timeout {
        start.push_attribute(("timeout", timeout.to_string().as_str()));
    }
    start
}

/// Drops the characters that XML 1.0 does not allow and cuts the text to [`LONGEST_SAY`]. quick-xml lets those characters
/// through, and Twilio then tells the callee that "an application error has occurred".
fn speakable(text: &str) -> String {
    let allowed = |char: &char| matches!(char, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}');
    text.chars().filter(allowed).take(LONGEST_SAY).collect()
}
