//! Form parameters, of bodies and of queries.

/// A name and a value, decoded.
pub(super) type Param = (String, String);

pub(super) fn parse(text: &[u8]) -> Vec<Param> {
    url::form_urlencoded::parse(text).into_owned().collect()
}

/// Returns the first value of this name.
pub(super) fn value<'a>(params: &'a [Param], name: &str) -> Option<&'a str> {
    params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}
