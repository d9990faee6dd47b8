//! Phone numbers and ids in URLs: parsing accepts exactly the valid texts and keeps them unchanged.

#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use callscribe::internals::{CallId, CallName, CallSid, PhoneNumber, RecordingSid, TranscriptId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let is_number = (7..=15).contains(&digits.chars().count())
        && digits.chars().enumerate().all(|(at, digit)| matches!((at, digit), (0, '1'..='9') | (1.., '0'..='9')));
    match text.parse::<PhoneNumber>() {
        Ok(number) => {
            assert!(is_number);
            assert_eq!(number.to_string(), format!("+{digits}"));
            assert_eq!(number.to_string().parse(), Ok(number.clone()));
            assert_eq!(number.masked().strip_prefix("+•••"), digits.get(digits.len() - 4..));
            assert_eq!(format!("{number:?}"), number.masked());
        }
        // Few countries have numbers of seven digits.
        Err(error) => assert!(!is_number || digits.len() == 7, "{error}"),
    }

    let names = [printed::<CallSid>(text), printed::<CallId>(text), printed::<RecordingSid>(text)];
    assert!(names.iter().flatten().count() <= 1, "one text is an id of two kinds");
    assert_eq!(text.parse::<CallName>().is_ok(), names[0].is_some() || names[1].is_some());
    let names = names.into_iter().chain([printed::<TranscriptId>(text)]).flatten();
    for name in names {
        assert_eq!(name, text);
        // Ids go unescaped into URLs and into the log.
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    }
});

/// Parses an id and prints it again.
fn printed<T: FromStr + Display>(text: &str) -> Option<String> {
    text.parse::<T>().ok().map(|id| id.to_string())
}
