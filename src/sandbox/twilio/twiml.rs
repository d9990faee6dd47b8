//! Parses TwiML into verbs, or into the error that Twilio's debugger would show.
//!
//! Knows the verbs that the sandbox performs, and the attributes that it heeds. Any other is an error, also if Twilio knows it.

use std::time::Duration;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// Why a call ends with an application error: Twilio's code, and a message for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApplicationError {
    pub(super) code: u32,
    pub(super) message: String,
}

impl ApplicationError {
    pub(super) fn new(code: u32, message: impl ToString) -> Self {
        Self { code, message: message.to_string() }
    }
}

/// A verb of TwiML. An empty URL of `<Redirect>` means the current document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verb {
    Say(String),
    Pause(Duration),
    Record(Box<Record>),
    Redirect { url: String, method: Option<String> },
    Reject { busy: bool },
    Hangup,
}

/// The attributes of `<Record>`, with Twilio's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) action: Option<String>,
    pub(super) method: Option<String>,
    pub(super) max_length: Duration,
    /// Silence that ends the recording; zero if silence never does.
    pub(super) timeout: Duration,
    pub(super) finish_on_key: String,
    pub(super) status_callback: Option<String>,
    pub(super) status_callback_method: Option<String>,
    pub(super) status_callback_event: Option<String>,
}

/// An element under `<Response>`.
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
}

pub(super) fn parse(xml: &str) -> Result<Vec<Verb>, ApplicationError> {
    elements(xml)?.into_iter().map(verb).collect()
}

fn elements(xml: &str) -> Result<Vec<Element>, ApplicationError> {
    let broken = |error: &dyn std::fmt::Display| ApplicationError::new(12100, error);
    let mut reader = Reader::from_str(xml);
    let mut found: Vec<Element> = Vec::new();
    let mut depth = 0;
    let mut rooted = false;
    loop {
        let event = reader.read_event().map_err(|error| broken(&error))?;
        let closed = matches!(event, Event::Empty(_));
        match event {
            Event::Start(start) | Event::Empty(start) => {
                match depth {
                    0 if rooted || start.name().as_ref() != "Response" => {
                        return Err(broken(&"the document is not one <Response>"));
                    }
                    0 => rooted = true,
                    1 => found.push(element(&start).map_err(|error| broken(&error))?),
                    // Markup inside <Say> changes only how it sounds.
                    _ => {}
                }
                depth += usize::from(!closed);
            }
            Event::End(_) => depth -= 1,
            Event::Text(text) if depth == 0 && text.trim().is_empty() => {}
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) if depth == 0 => {
                return Err(broken(&"there is text outside <Response>"));
            }
            Event::Text(text) => add(&mut found, depth, &text.xml10_content()),
            Event::CData(text) => add(&mut found, depth, &text.xml10_content()),
            // quick-xml reports `&amp;` in a text as an event of its own.
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().map_err(|error| broken(&error))?;
                match (character, quick_xml::escape::resolve_predefined_entity(&reference)) {
                    (Some(character), _) => add(&mut found, depth, character.encode_utf8(&mut [0; 4])),
                    (None, Some(text)) => add(&mut found, depth, text),
                    (None, None) => return Err(broken(&format!("unknown entity {}", &*reference))),
                }
            }
            Event::Eof if depth > 0 || !rooted => return Err(broken(&"the document ends too early")),
            Event::Eof => return Ok(found),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

fn element(start: &BytesStart<'_>) -> quick_xml::Result<Element> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0)?;
        attributes.push((attribute.key.as_ref().to_owned(), value.into_owned()));
    }
    Ok(Element { name: start.name().as_ref().to_owned(), attributes, text: String::new() })
}

/// Adds text to the verb around it. Text between verbs is ignored.
fn add(found: &mut [Element], depth: usize, text: &str) {
    if let Some(last) = found.last_mut().filter(|_| depth > 1) {
        last.text += text;
    }
}

const RECORD: [&str; 9] = [
    "action",
    "method",
    "maxLength",
    "timeout",
    "finishOnKey",
    "playBeep",
    "recordingStatusCallback",
    "recordingStatusCallbackMethod",
    "recordingStatusCallbackEvent",
];

fn verb(element: Element) -> Result<Verb, ApplicationError> {
    let attribute = |name: &str| {
        element.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).filter(|v| !v.is_empty())
    };
    let seconds = |name: &str, default: u64| match attribute(name).map(|text| text.parse::<u32>()) {
        None => Ok(Duration::from_secs(default)),
        Some(Ok(seconds)) => Ok(Duration::from_secs(seconds.into())),
        Some(Err(_)) => {
            Err(ApplicationError::new(12200, format!("{name} of <{}> is not a number of seconds", element.name)))
        }
    };
    let known: &[&str] = match element.name.as_str() {
        // How it sounds changes nothing here, and a beep is not recorded.
        "Say" => &["voice", "language"],
        "Record" => &RECORD,
        "Pause" => &["length"],
        "Redirect" => &["method"],
        "Reject" => &["reason"],
        _ => &[],
    };
    let is_heeded = |(name, value): &(String, String)| match (name.as_str(), value.as_str()) {
        ("trim", value) => element.name == "Record" && value == "do-not-trim",
        (name, _) => known.contains(&name),
    };
    if let Some((name, _)) = element.attributes.iter().find(|attribute| !is_heeded(attribute)) {
        let message = format!("the sandbox does not support this {name} of <{}>", element.name);
        return Err(ApplicationError::new(12200, message));
    }
    Ok(match element.name.as_str() {
        "Say" => Verb::Say(element.text.trim().to_owned()),
        "Pause" => Verb::Pause(seconds("length", 1)?),
        "Record" => Verb::Record(Box::new(Record {
            action: attribute("action"),
            method: attribute("method"),
            max_length: seconds("maxLength", 3_600)?,
            timeout: seconds("timeout", 5)?,
            // Unlike other attributes, this one may be empty: then no key ends the recording.
            finish_on_key: match element.attributes.iter().find(|(name, _)| name == "finishOnKey") {
                Some((_, keys)) => keys.clone(),
                None => "1234567890*#".to_owned(),
            },
            status_callback: attribute("recordingStatusCallback"),
            status_callback_method: attribute("recordingStatusCallbackMethod"),
            status_callback_event: attribute("recordingStatusCallbackEvent"),
        })),
        "Redirect" => Verb::Redirect { url: element.text.trim().to_owned(), method: attribute("method") },
        "Reject" => Verb::Reject { busy: attribute("reason").as_deref() == Some("busy") },
        "Hangup" => Verb::Hangup,
        other => return Err(ApplicationError::new(12200, format!("the sandbox does not support <{other}>"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(xml: &str) -> u32 {
        parse(xml).unwrap_err().code
    }

    #[test]
    fn verbs_are_parsed_in_order_with_twilios_defaults() {
        let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response>\n <!-- hello -->\n <Say voice=\"alice\">Ahoy!</Say>\
                   <Record/><Pause length=\"3\"/><Redirect method=\"GET\"> ../next </Redirect><Reject/><Hangup/></Response>\n";
        let verbs = parse(xml).unwrap();
        assert_eq!(verbs[0], Verb::Say("Ahoy!".to_owned()));
        let Verb::Record(record) = &verbs[1] else { panic!("{verbs:?}") };
        assert_eq!((record.max_length, record.timeout), (Duration::from_secs(3_600), Duration::from_secs(5)));
        assert_eq!((record.finish_on_key.as_str(), &record.action), ("1234567890*#", &None));
        assert_eq!(verbs[2], Verb::Pause(Duration::from_secs(3)));
        assert_eq!(verbs[3], Verb::Redirect { url: "../next".to_owned(), method: Some("GET".to_owned()) });
        assert_eq!(verbs[4..], [Verb::Reject { busy: false }, Verb::Hangup]);
    }

    #[test]
    fn entities_survive_in_texts_and_in_attributes() {
        let xml = "<Response><Say>Tom &amp; J&#233;r&#x6F;me <b>&lt;3</b><![CDATA[ & co]]></Say>\
                   <Record action=\"https://example.com/?a=1&amp;b=&quot;2&quot;\" finishOnKey=\"\"/></Response>";
        let verbs = parse(xml).unwrap();
        assert_eq!(verbs[0], Verb::Say("Tom & Jérome <3 & co".to_owned()));
        let Verb::Record(record) = &verbs[1] else { panic!("{verbs:?}") };
        assert_eq!(record.action.as_deref(), Some("https://example.com/?a=1&b=\"2\""));
        assert_eq!(record.finish_on_key, "");
    }

    #[test]
    fn anything_but_twiml_is_a_parse_failure() {
        for xml in ["", "hello", "<Response>", "<Response><Say></Response>", "<html/>", "<Response/><Response/>"] {
            assert_eq!(code(xml), 12100, "{xml}");
        }
        assert_eq!(code("<Response><Say>&nbsp;</Say></Response>"), 12100);
        assert_eq!(code("<Response/>junk"), 12100);
    }

    #[test]
    fn unknown_verbs_and_attributes_and_wrong_numbers_are_validation_errors() {
        assert_eq!(code("<Response><Sing/></Response>"), 12200);
        assert_eq!(code("<Response><say>lower case</say></Response>"), 12200);
        assert_eq!(code("<Response><Pause length=\"soon\"/></Response>"), 12200);
        for attribute in ["transcribe=\"true\"", "trim=\"trim-silence\"", "maxlength=\"5\""] {
            assert_eq!(code(&format!("<Response><Record {attribute}/></Response>")), 12200, "{attribute}");
        }
        assert_eq!(code("<Response><Say loop=\"3\">Ahoy!</Say></Response>"), 12200);
        assert!(parse("<Response><Record trim=\"do-not-trim\" playBeep=\"false\"/></Response>").is_ok());
    }

    #[test]
    fn an_empty_response_has_no_verbs() {
        assert_eq!(parse("<Response/>"), Ok(vec![]));
    }
}
