//! Parses TwiML into verbs, or into the error that Twilio's debugger would show.
//!
//! Knows the verbs that the sandbox performs, and the attributes that it heeds. Any other is an error, also if Twilio knows
//! it.

use std::time::Duration;

use super::application_error::ApplicationError;
use super::elements::{Element, elements};

/// A verb of TwiML. An empty URL of `<Redirect>` means the current document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verb {
    Say(String),
    Pause(Duration),
    Gather(Box<Gather>),
    Dial(Box<Dial>),
    Record(Box<Record>),
    Redirect { url: String, method: Option<String> },
    Reject { busy: bool },
    Hangup,
}

impl Verb {
    /// Whether a call that came in is not answered for this verb.
    pub(super) fn leaves_unanswered(&self) -> bool {
        match self {
            Self::Reject { .. } => true,
            Self::Dial(dial) => dial.answer_on_bridge,
            _ => false,
        }
    }

    /// Whether the document of a `<Number>` may have this verb.
    pub(super) fn can_whisper(&self) -> bool {
        matches!(self, Self::Say(_) | Self::Gather(_) | Self::Hangup)
    }
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
    pub(super) status_callback: Hook,
}

/// The attributes of a status callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hook {
    pub(super) url: Option<String>,
    pub(super) method: Option<String>,
    /// Separated by spaces.
    pub(super) events: Option<String>,
}

/// The attributes of `<Gather>`, with Twilio's defaults, and what is said meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gather {
    pub(super) action: Option<String>,
    pub(super) method: Option<String>,
    pub(super) num_digits: Option<u32>,
    /// How long nobody presses a key before the verb ends.
    pub(super) timeout: Duration,
    /// `None` if every key counts.
    pub(super) finish_on_key: Option<char>,
    pub(super) action_on_empty_result: bool,
    /// `<Say>` and `<Pause>`.
    pub(super) prompt: Vec<Verb>,
}

/// The attributes of `<Dial>`, with Twilio's defaults, and whom it calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dial {
    pub(super) action: Option<String>,
    pub(super) method: Option<String>,
    pub(super) caller_id: Option<String>,
    /// Whether a call that comes in is answered only once it is connected.
    pub(super) answer_on_bridge: bool,
    pub(super) time_limit: Duration,
    pub(super) record: Option<DialRecord>,
    pub(super) recording_status_callback: Hook,
    pub(super) numbers: Vec<Number>,
}

/// How `<Dial>` records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DialRecord {
    /// Otherwise from the answer.
    pub(super) from_ringing: bool,
    pub(super) channels: u8,
}

/// A `<Number>` of `<Dial>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) number: String,
    /// The document that is performed for the person who picks up, before the calls are connected.
    pub(super) url: Option<String>,
    pub(super) method: Option<String>,
    pub(super) status_callback: Hook,
}

pub(super) fn parse(xml: &str) -> Result<Vec<Verb>, ApplicationError> {
    elements(xml)?.iter().map(verb).collect()
}

/// The attributes that an element may have. Only these values are heeded, or any if there are none.
type Known = &'static [(&'static str, &'static [&'static str])];

/// How it sounds changes nothing here.
const SAY: Known = &[("voice", &[]), ("language", &[])];

/// A beep is not recorded.
const RECORD: Known = &[
    ("action", &[]),
    ("method", &[]),
    ("maxLength", &[]),
    ("timeout", &[]),
    ("finishOnKey", &[]),
    ("playBeep", &[]),
    ("trim", &["do-not-trim"]),
    ("recordingStatusCallback", &[]),
    ("recordingStatusCallbackMethod", &[]),
    ("recordingStatusCallbackEvent", &[]),
];

const GATHER: Known = &[
    ("action", &[]),
    ("method", &[]),
    ("input", &["dtmf"]),
    ("numDigits", &[]),
    ("timeout", &[]),
    ("finishOnKey", &[]),
    ("actionOnEmptyResult", &["true", "false"]),
];

/// Nobody rings here for as long as the shortest `timeout`.
const DIAL: Known = &[
    ("action", &[]),
    ("method", &[]),
    ("callerId", &[]),
    ("answerOnBridge", &["true", "false"]),
    ("hangupOnStar", &["false"]),
    ("sequential", &["false"]),
    ("timeout", &[]),
    ("timeLimit", &[]),
    ("record", &[]),
    ("recordingTrack", &["both"]),
    ("trim", &["do-not-trim"]),
    ("recordingStatusCallback", &[]),
    ("recordingStatusCallbackMethod", &[]),
    ("recordingStatusCallbackEvent", &[]),
];

const NUMBER: Known = &[
    ("url", &[]),
    ("method", &[]),
    ("statusCallback", &[]),
    ("statusCallbackMethod", &[]),
    ("statusCallbackEvent", &[]),
];

/// Maximum number of `<Number>`s in a `<Dial>`.
const MAX_NUMBERS: usize = 10;

fn verb(element: &Element) -> Result<Verb, ApplicationError> {
    Ok(match element.name.as_str() {
        "Say" => {
            element.check(SAY)?;
            Verb::Say(element.text.trim().to_owned())
        }
        "Pause" => {
            element.check(&[("length", &[])])?;
            Verb::Pause(element.seconds("length", 1)?)
        }
        "Record" => Verb::Record(Box::new(record(element)?)),
        "Gather" => Verb::Gather(Box::new(gather(element)?)),
        "Dial" => Verb::Dial(Box::new(dial(element)?)),
        "Redirect" => {
            element.check(&[("method", &[])])?;
            Verb::Redirect { url: element.text.trim().to_owned(), method: element.attribute("method") }
        }
        "Reject" => {
            element.check(&[("reason", &[])])?;
            Verb::Reject { busy: element.attribute("reason").as_deref() == Some("busy") }
        }
        "Hangup" => {
            element.check(&[])?;
            Verb::Hangup
        }
        other => return Err(ApplicationError::new(12200, format!("the sandbox does not support <{other}>"))),
    })
}

fn record(element: &Element) -> Result<Record, ApplicationError> {
    element.check(RECORD)?;
    Ok(Record {
        action: element.attribute("action"),
        method: element.attribute("method"),
        max_length: element.seconds("maxLength", 3_600)?,
        timeout: element.seconds("timeout", 5)?,
        finish_on_key: element.keys().unwrap_or("1234567890*#").to_owned(),
        status_callback: element.hook("recordingStatusCallback"),
    })
}

fn gather(element: &Element) -> Result<Gather, ApplicationError> {
    element.check_attributes(GATHER)?;
    let prompt = element.children.iter().map(|child| match child.name.as_str() {
        "Say" | "Pause" => verb(child),
        _ => Err(element.does_not_support(child)),
    });
    let num_digits = element.number("numDigits")?;
    if num_digits == Some(0) {
        return Err(ApplicationError::new(12200, "numDigits of <Gather> must be positive"));
    }
    let mut keys = element.keys().unwrap_or("#").chars();
    let finish_on_key = keys.next();
    if keys.next().is_some() || finish_on_key.is_some_and(|key| !"1234567890*#".contains(key)) {
        return Err(ApplicationError::new(13310, "finishOnKey of <Gather> is not one key"));
    }
    Ok(Gather {
        action: element.attribute("action"),
        method: element.attribute("method"),
        num_digits,
        timeout: element.seconds("timeout", 5)?,
        finish_on_key,
        action_on_empty_result: element.attribute("actionOnEmptyResult").as_deref() == Some("true"),
        prompt: prompt.collect::<Result<_, _>>()?,
    })
}

fn dial(element: &Element) -> Result<Dial, ApplicationError> {
    element.check_attributes(DIAL)?;
    let wrong = |what: &str| Err(ApplicationError::new(12200, format!("{what} of <Dial> is not valid")));
    if element.number("timeout")?.is_some_and(|seconds| !(5..=600).contains(&seconds)) {
        return wrong("timeout");
    }
    let time_limit = element.seconds("timeLimit", 14_400)?;
    if time_limit.is_zero() || time_limit > Duration::from_secs(14_400) {
        return wrong("timeLimit");
    }
    let record = |from_ringing, channels| Some(DialRecord { from_ringing, channels });
    let record = match element.attribute("record").as_deref() {
        None | Some("do-not-record" | "false") => None,
        Some("record-from-answer" | "true") => record(false, 1),
        Some("record-from-answer-dual") => record(false, 2),
        Some("record-from-ringing") => record(true, 1),
        Some("record-from-ringing-dual") => record(true, 2),
        Some(_) => return wrong("record"),
    };
    let numbers = element.children.iter().map(|child| match child.name.as_str() {
        "Number" => number(child),
        _ => Err(element.does_not_support(child)),
    });
    let mut numbers: Vec<Number> = numbers.collect::<Result<_, _>>()?;
    if numbers.is_empty() && !element.text.trim().is_empty() {
        let number = element.text.trim().to_owned();
        numbers.push(Number { number, url: None, method: None, status_callback: element.hook("") });
    }
    if !(1..=MAX_NUMBERS).contains(&numbers.len()) {
        return wrong("the number of <Number>s");
    }
    Ok(Dial {
        action: element.attribute("action"),
        method: element.attribute("method"),
        caller_id: element.attribute("callerId"),
        answer_on_bridge: element.attribute("answerOnBridge").as_deref() == Some("true"),
        time_limit,
        record,
        recording_status_callback: element.hook("recordingStatusCallback"),
        numbers,
    })
}

fn number(element: &Element) -> Result<Number, ApplicationError> {
    element.check(NUMBER)?;
    Ok(Number {
        number: element.text.trim().to_owned(),
        url: element.attribute("url"),
        method: element.attribute("method"),
        status_callback: element.hook("statusCallback"),
    })
}

impl Element {
    /// Returns an attribute, unless it is empty.
    fn attribute(&self, name: &str) -> Option<String> {
        self.attributes.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.clone())
    }

    /// Returns `finishOnKey`. Unlike other attributes, it may be empty: then no key ends the verb.
    fn keys(&self) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == "finishOnKey").map(|(_, keys)| keys.as_str())
    }

    /// Returns the attributes `name`, `{name}Method` and `{name}Event`.
    fn hook(&self, name: &str) -> Hook {
        Hook {
            url: self.attribute(name),
            method: self.attribute(&format!("{name}Method")),
            events: self.attribute(&format!("{name}Event")),
        }
    }

    fn number(&self, name: &str) -> Result<Option<u32>, ApplicationError> {
        let number = self.attribute(name).map(|text| text.parse()).transpose();
        number.map_err(|_| ApplicationError::new(12200, format!("{name} of <{}> is not a number", self.name)))
    }

    fn seconds(&self, name: &str, default: u32) -> Result<Duration, ApplicationError> {
        Ok(Duration::from_secs(self.number(name)?.unwrap_or(default).into()))
    }

    /// Refuses other attributes than these, and elements inside of any other than `<Say>`, where markup changes only how it
    /// sounds.
    fn check(&self, known: Known) -> Result<(), ApplicationError> {
        if let Some(child) = self.children.first().filter(|_| self.name != "Say") {
            return Err(self.does_not_support(child));
        }
        self.check_attributes(known)
    }

    fn check_attributes(&self, known: Known) -> Result<(), ApplicationError> {
        let is_heeded = |(name, value): &&(String, String)| {
            let values = known.iter().find(|(known, _)| known == name).map(|(_, values)| *values);
            values.is_some_and(|values| values.is_empty() || values.contains(&value.as_str()))
        };
        match self.attributes.iter().find(|attribute| !is_heeded(attribute)) {
            Some((name, _)) => {
                let message = format!("the sandbox does not support this {name} of <{}>", self.name);
                Err(ApplicationError::new(12200, message))
            }
            None => Ok(()),
        }
    }

    fn does_not_support(&self, child: &Element) -> ApplicationError {
        let message = format!("the sandbox does not support <{}> in <{}>", child.name, self.name);
        ApplicationError::new(12200, message)
    }
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
    fn a_gather_has_twilios_defaults_and_what_is_said_meanwhile() {
        let xml = "<Response><Gather><Say>Press <b>one</b>.</Say><Pause length=\"2\"/></Gather>\
                   <Gather numDigits=\"4\" finishOnKey=\"\" timeout=\"8\" input=\"dtmf\" actionOnEmptyResult=\"true\"/></Response>";
        let verbs = parse(xml).unwrap();
        let plain = Gather {
            action: None,
            method: None,
            num_digits: None,
            timeout: Duration::from_secs(5),
            finish_on_key: Some('#'),
            action_on_empty_result: false,
            prompt: vec![Verb::Say("Press one.".to_owned()), Verb::Pause(Duration::from_secs(2))],
        };
        assert_eq!(verbs[0], Verb::Gather(Box::new(plain.clone())));
        let timeout = Duration::from_secs(8);
        let four = Gather { num_digits: Some(4), timeout, action_on_empty_result: true, prompt: vec![], ..plain };
        assert_eq!(verbs[1], Verb::Gather(Box::new(Gather { finish_on_key: None, ..four })));
    }

    #[test]
    fn a_dial_calls_its_numbers_or_the_one_in_its_text() {
        let xml = "<Response><Dial> +14155551234 </Dial><Dial record=\"record-from-ringing-dual\" timeLimit=\"60\">\
                   <Number url=\"/whisper\" statusCallback=\"/leg\" statusCallbackEvent=\"ringing answered\">+14155551235</Number>\
                   <Number>+14155551236</Number></Dial></Response>";
        let verbs = parse(xml).unwrap();
        let Verb::Dial(plain) = &verbs[0] else { panic!("{verbs:?}") };
        let numbers = |dial: &Dial| dial.numbers.iter().map(|number| number.number.clone()).collect::<Vec<_>>();
        assert_eq!((numbers(plain), plain.record), (vec!["+14155551234".to_owned()], None));
        assert_eq!(
            (plain.time_limit, plain.numbers[0].status_callback.url.as_ref()),
            (Duration::from_secs(14_400), None)
        );
        let Verb::Dial(dial) = &verbs[1] else { panic!("{verbs:?}") };
        assert_eq!(numbers(dial), ["+14155551235", "+14155551236"]);
        assert_eq!(dial.record, Some(DialRecord { from_ringing: true, channels: 2 }));
        assert_eq!(dial.numbers[0].url.as_deref(), Some("/whisper"));
        assert_eq!(dial.numbers[0].status_callback.events.as_deref(), Some("ringing answered"));
    }

    #[test]
    fn what_a_dial_cannot_do_here_is_refused() {
        for attribute in [
            "hangupOnStar=\"true\"",
            "sequential=\"true\"",
            "trim=\"trim-silence\"",
            "recordingTrack=\"inbound\"",
            "record=\"always\"",
            "timeout=\"4\"",
            "timeLimit=\"0\"",
            "ringTone=\"us\"",
        ] {
            assert_eq!(
                code(&format!("<Response><Dial {attribute}>+14155551234</Dial></Response>")),
                12200,
                "{attribute}"
            );
        }
        let eleven = "<Number>+14155551234</Number>".repeat(11);
        for nouns in ["", "<Client>me</Client>", "<Number sendDigits=\"1\">+14155551234</Number>", &eleven] {
            assert_eq!(code(&format!("<Response><Dial>{nouns}</Dial></Response>")), 12200, "{nouns}");
        }
    }

    #[test]
    fn what_a_gather_cannot_do_here_is_refused() {
        for attribute in
            ["input=\"speech\"", "input=\"dtmf speech\"", "numDigits=\"0\"", "timeout=\"auto\"", "hints=\"yes\""]
        {
            assert_eq!(code(&format!("<Response><Gather {attribute}/></Response>")), 12200, "{attribute}");
        }
        for key in ["##", "A"] {
            assert_eq!(code(&format!("<Response><Gather finishOnKey=\"{key}\"/></Response>")), 13310, "{key}");
        }
        for nested in ["<Record/>", "<Play>https://example.com/a.mp3</Play>", "<Gather/>"] {
            assert_eq!(code(&format!("<Response><Gather>{nested}</Gather></Response>")), 12200, "{nested}");
            assert_eq!(code(&format!("<Response><Pause>{nested}</Pause></Response>")), 12200, "{nested}");
        }
    }

    #[test]
    fn an_empty_response_has_no_verbs() {
        assert_eq!(parse("<Response/>"), Ok(vec![]));
    }
}
