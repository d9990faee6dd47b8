//! Parses XML into the elements under `<Response>`, or into the error that Twilio's debugger would show.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::application_error::ApplicationError;

/// A verb, a noun, or markup inside `<Say>`.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    /// All text in the element, also in the elements inside it.
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

/// Returns the elements directly under `<Response>`. Text between them is ignored.
pub(super) fn elements(xml: &str) -> Result<Vec<Element>, ApplicationError> {
    let broken = |error: &dyn std::fmt::Display| ApplicationError::new(12100, error);
    let mut reader = Reader::from_str(xml);
    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<Element> = None;
    loop {
        let event = reader.read_event().map_err(|error| broken(&error))?;
        let is_empty = matches!(event, Event::Empty(_));
        match event {
            Event::Start(start) | Event::Empty(start) => {
                if open.is_empty() && (root.is_some() || start.name().as_ref() != "Response") {
                    return Err(broken(&"the document is not one <Response>"));
                }
                open.push(element(&start).map_err(|error| broken(&error))?);
                if is_empty {
                    close(&mut open, &mut root);
                }
            }
            Event::End(_) => close(&mut open, &mut root),
            Event::Text(text) if open.is_empty() && text.trim().is_empty() => {}
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) if open.is_empty() => {
                return Err(broken(&"there is text outside <Response>"));
            }
            Event::Text(text) => add(&mut open, &text.xml10_content()),
            Event::CData(text) => add(&mut open, &text.xml10_content()),
            // quick-xml reports `&amp;` in a text as an event of its own.
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().map_err(|error| broken(&error))?;
                match (character, quick_xml::escape::resolve_predefined_entity(&reference)) {
                    (Some(character), _) => add(&mut open, character.encode_utf8(&mut [0; 4])),
                    (None, Some(text)) => add(&mut open, text),
                    (None, None) => return Err(broken(&format!("unknown entity {}", &*reference))),
                }
            }
            Event::Eof => {
                let root = root.filter(|_| open.is_empty());
                return root.map(|root| root.children).ok_or_else(|| broken(&"the document ends too early"));
            }
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
    Ok(Element { name: start.name().as_ref().to_owned(), attributes, text: String::new(), children: Vec::new() })
}

/// Moves the innermost open element into the one around it.
fn close(open: &mut Vec<Element>, root: &mut Option<Element>) {
    let Some(closed) = open.pop() else { return };
    match open.last_mut() {
        Some(around) => around.children.push(closed),
        None => *root = Some(closed),
    }
}

fn add(open: &mut [Element], text: &str) {
    for element in open {
        element.text += text;
    }
}
