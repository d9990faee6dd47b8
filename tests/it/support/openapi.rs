//! Checks requests and responses against a vendor's published OpenAPI file. Faults are texts without any values, so that a
//! test can compare them with a list of known ones.
//!
//! Supports as much of OpenAPI 3.0 and 3.1 as the two files use. Anything else panics: nothing passes unchecked.

use std::collections::BTreeSet;

use callscribe::sandbox::control::LoggedRequest;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::Answer;

/// A vendor's file, or the part of it in `fixtures`.
pub(crate) struct Spec {
    file: Value,
    /// Twilio's schemas do not say that they are complete, but both files mean it.
    closed: bool,
}

/// Faults, each with its place.
pub(crate) type Faults = BTreeSet<String>;

/// The path in the file that matches a request.
struct Operation<'s> {
    /// Such as `GET /v2/transcript/{transcript_id}`.
    name: String,
    spec: &'s Value,
    /// The value of each `{name}`.
    segments: Vec<(String, String)>,
}

impl Spec {
    pub(crate) fn twilio() -> Self {
        Self { file: read(include_str!("../fixtures/twilio/openapi.json")), closed: true }
    }

    pub(crate) fn assemblyai() -> Self {
        Self { file: read(include_str!("../fixtures/assemblyai/openapi.json")), closed: false }
    }

    /// The operation of a request, as the file names it.
    pub(crate) fn name_of(&self, seen: &LoggedRequest) -> String {
        let path = seen.target.split('?').next().unwrap_or_default();
        match self.operation(&seen.method, path) {
            Some(operation) => operation.name,
            None => format!("{} {}", seen.method, nameless(path)),
        }
    }

    /// The faults of a request to a vendor: path, query, credentials, body.
    pub(crate) fn faults_of_request(&self, seen: &LoggedRequest) -> Faults {
        let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
        let Some(operation) = self.operation(&seen.method, path) else {
            return [format!("{} {}: not in the file", seen.method, nameless(path))].into();
        };
        let mut faults = Faults::new();
        self.check_parameters(&operation, query, &mut faults);
        self.check_credentials(&operation, seen, &mut faults);
        self.check_body(&operation, seen, &mut faults);
        faults.into_iter().map(|fault| format!("{} {fault}", operation.name)).collect()
    }

    /// The faults of a vendor's response: status, media type, body.
    pub(crate) fn faults_of_answer(&self, method: &Method, target: &str, answer: &Answer) -> Faults {
        let path = target.split('?').next().unwrap_or_default();
        let Some(operation) = self.operation(method, path) else {
            return [format!("{method} {}: not in the file", nameless(path))].into();
        };
        let mut faults = Faults::new();
        let status = answer.status.as_u16().to_string();
        match operation.spec["responses"].get(&status).map(|response| self.resolve(response)) {
            None => _ = faults.insert("status: not in the file".to_owned()),
            Some(response) => match response.get("content") {
                None if answer.body.is_empty() => {}
                None => _ = faults.insert("body: the file has none".to_owned()),
                Some(content) => match content.get(media_type(answer.header("content-type"))) {
                    None => _ = faults.insert("content-type: not in the file".to_owned()),
                    Some(kind) => {
                        let text = || Value::String(answer.text());
                        let body = serde_json::from_slice(&answer.body).unwrap_or_else(|_| text());
                        self.check(&kind["schema"], &body, "body", &mut faults);
                    }
                },
            },
        }
        faults.into_iter().map(|fault| format!("{} {status} {fault}", operation.name)).collect()
    }

    /// The matching path of the file. A literal path takes precedence over one with a `{name}`.
    fn operation(&self, method: &Method, path: &str) -> Option<Operation<'_>> {
        let paths = self.file["paths"].as_object().expect("paths");
        let mut fitting: Vec<Operation<'_>> = paths
            .iter()
            .filter_map(|(template, methods)| {
                let spec = methods.get(method.as_str().to_lowercase())?;
                Some(Operation { name: format!("{method} {template}"), spec, segments: fit(template, path)? })
            })
            .collect();
        fitting.sort_by_key(|operation| operation.segments.len());
        fitting.into_iter().next()
    }

    /// Checks path and query: each parameter is known, and all required ones are present.
    fn check_parameters(&self, operation: &Operation<'_>, query: &str, faults: &mut Faults) {
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
        let given: Vec<(&str, String, String)> = pairs
            .map(|(name, value)| ("query", name, value))
            .chain(operation.segments.iter().cloned().map(|(name, value)| ("path", name, value)))
            .collect();
        let none = Vec::new();
        let known = operation.spec.get("parameters").and_then(Value::as_array).unwrap_or(&none);
        for (place, name, text) in &given {
            match known.iter().find(|one| one["in"] == *place && one["name"] == **name) {
                None => _ = faults.insert(format!("{place} {name}: not in the file")),
                Some(one) => {
                    let schema = self.resolve(&one["schema"]);
                    let value = match schema["type"].as_str() {
                        Some("array") => text.split(',').map(|text| self.read(&schema["items"], text)).collect(),
                        _ => self.read(schema, text),
                    };
                    self.check(schema, &value, &format!("{place} {name}"), faults);
                }
            }
        }
        for one in known.iter().filter(|one| one["required"] == true) {
            if !given.iter().any(|(place, name, _)| one["in"] == *place && one["name"] == **name) {
                faults.insert(format!("{} {}: missing", one["in"], one["name"]));
            }
        }
    }

    /// Checks the credentials: Basic with user and password, or a bare key.
    fn check_credentials(&self, operation: &Operation<'_>, seen: &LoggedRequest, faults: &mut Faults) {
        let scheme = operation.spec.get("security").unwrap_or(&self.file["security"]);
        let name = scheme[0].as_object().and_then(|schemes| schemes.keys().next()).expect("a security scheme");
        let scheme = &self.file["components"]["securitySchemes"][name];
        let header = match scheme["type"].as_str() {
            Some("http") if scheme["scheme"] == "basic" => AUTHORIZATION.as_str(),
            Some("apiKey") if scheme["in"] == "header" => scheme["name"].as_str().expect("a header's name"),
            other => panic!("the security scheme {other:?} is not known here"),
        };
        let values: Vec<&str> =
            seen.headers.get_all(header).iter().map(|value| value.to_str().expect("printable")).collect();
        let fits = match (values.as_slice(), scheme["type"] == "http") {
            ([value], true) => value.starts_with("Basic ") && value.len() > "Basic ".len(),
            ([value], false) => !value.is_empty() && !value.contains(' '),
            _ => false,
        };
        if !fits {
            faults.insert(format!("credentials: not as {name} says"));
        }
    }

    fn check_body(&self, operation: &Operation<'_>, seen: &LoggedRequest, faults: &mut Faults) {
        let header = seen.headers.get(CONTENT_TYPE).map(|value| value.to_str().expect("printable"));
        let Some(content) = operation.spec.get("requestBody").map(|body| &body["content"]) else {
            if header.is_some() || !seen.body.is_empty() {
                faults.insert("body: the file has none".to_owned());
            }
            return;
        };
        let kind = media_type(header.unwrap_or_default());
        match (kind, content.get(kind)) {
            (_, None) => _ = faults.insert("content-type: not in the file".to_owned()),
            ("application/octet-stream", Some(_)) => {}
            ("application/json", Some(content)) => {
                let body = serde_json::from_slice(&seen.body).expect("JSON");
                self.check(&content["schema"], &body, "body", faults);
            }
            ("application/x-www-form-urlencoded", Some(content)) => {
                let form = self.read_form(&content["schema"], &seen.body, faults);
                self.check(&content["schema"], &form, "body", faults);
            }
            (other, Some(_)) => panic!("a body of {other} is not known here"),
        }
    }

    /// A form as an object. A name that is repeated, or is a list in the file, becomes a list.
    fn read_form(&self, schema: &Value, body: &[u8], faults: &mut Faults) -> Value {
        let mut form = Map::new();
        for (name, text) in form_urlencoded::parse(body).into_owned() {
            let property = schema["properties"].get(&name).map(|property| self.resolve(property));
            match property {
                Some(property) if property["type"] == "array" => {
                    let list = form.entry(name).or_insert(json!([])).as_array_mut().expect("a list");
                    list.push(self.read(&property["items"], &text));
                }
                property => {
                    let value = self.read(property.unwrap_or(&Value::Null), &text);
                    if form.insert(name.clone(), value).is_some() {
                        faults.insert(format!("body /{name}: several times, but no list"));
                    }
                }
            }
        }
        Value::Object(form)
    }

    /// A text as a value of its schema's type.
    fn read(&self, schema: &Value, text: &str) -> Value {
        let value = match self.resolve(schema)["type"].as_str() {
            Some("integer" | "number" | "boolean") => serde_json::from_str(text).ok(),
            _ => None,
        };
        value.unwrap_or_else(|| Value::String(text.to_owned()))
    }

    fn resolve<'s>(&'s self, schema: &'s Value) -> &'s Value {
        match schema.get("$ref").and_then(Value::as_str) {
            None => schema,
            Some(name) => {
                let pointer = name.strip_prefix('#').expect("a reference into the same file");
                self.resolve(self.file.pointer(pointer).unwrap_or_else(|| panic!("{name} is not in the file")))
            }
        }
    }

    fn fits(&self, schema: &Value, value: &Value) -> bool {
        let mut faults = Faults::new();
        self.check(schema, value, "", &mut faults);
        faults.is_empty()
    }

    /// Checks a value against its JSON Schema, as far as the files use it. `place` is where the value is.
    fn check(&self, schema: &Value, value: &Value, place: &str, faults: &mut Faults) {
        let schema = self.resolve(schema);
        let mut fault = |what: &str| _ = faults.insert(format!("{place}: {what}"));
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            Value::String(only) => vec![only],
            _ => Vec::new(),
        };
        if !types.is_empty() && !types.iter().any(|kind| is(kind, value)) {
            return fault(&format!("expected {}, not {}", types.join(" or "), kind_of(value)));
        }
        if schema.get("const").is_some_and(|only| only != value) {
            fault("not the only value that the file has");
        }
        if schema["enum"].as_array().is_some_and(|all| !all.contains(value)) {
            fault("not among the values that the file has");
        }
        if let Some(number) = value.as_f64() {
            let bound = |name: &str| schema[name].as_f64();
            if bound("minimum").is_some_and(|least| number < least)
                || bound("maximum").is_some_and(|most| number > most)
            {
                fault("out of range");
            }
        }
        if let Some(text) = value.as_str() {
            let bound = |name: &str| schema[name].as_u64().map(|length| usize::try_from(length).expect("a length"));
            let length = text.chars().count();
            if bound("minLength").is_some_and(|least| length < least)
                || bound("maxLength").is_some_and(|most| length > most)
            {
                fault("of the wrong length");
            }
            if schema["pattern"].as_str().is_some_and(|pattern| !matches_pattern(pattern, text)) {
                fault("not as the pattern says");
            }
        }
        if let Some(format) = schema["format"].as_str()
            && !has_format(format, value)
        {
            fault(&format!("no {format}"));
        }
        let branches = |name: &str| schema[name].as_array();
        let fitting = |all: &Vec<Value>| all.iter().filter(|one| self.fits(one, value)).count();
        if branches("oneOf").is_some_and(|all| fitting(all) != 1) {
            fault("not one of the kinds that the file has");
        }
        if branches("anyOf").is_some_and(|all| fitting(all) == 0) {
            fault("none of the kinds that the file has");
        }
        match value {
            Value::Array(items) => {
                for item in items {
                    self.check(&schema["items"], item, &format!("{place}/*"), faults);
                }
            }
            Value::Object(fields) => self.check_fields(schema, fields, place, faults),
            _ => {}
        }
    }

    fn check_fields(&self, schema: &Value, fields: &Map<String, Value>, place: &str, faults: &mut Faults) {
        let shape = self.shape(schema);
        for (name, value) in fields {
            let place = format!("{place}/{name}");
            match (shape.properties.iter().find(|(known, _)| *known == name), shape.others) {
                (Some((_, schema)), _) => self.check(schema, value, &place, faults),
                (None, Some(Value::Bool(false))) => _ = faults.insert(format!("{place}: not in the file")),
                (None, Some(schema @ Value::Object(_))) => self.check(schema, value, &place, faults),
                // An object with named fields has no others.
                (None, None) if self.closed && !shape.properties.is_empty() => {
                    faults.insert(format!("{place}: not in the file"));
                }
                (None, _) => {}
            }
        }
        for name in shape.required.iter().filter(|name| !fields.contains_key(**name)) {
            faults.insert(format!("{place}/{name}: missing"));
        }
    }

    /// The fields of an object. `allOf` is read as one object with the fields of all its parts. Strictly read, nothing would
    /// match, because each part is closed; the vendor cannot mean that.
    fn shape<'s>(&'s self, schema: &'s Value) -> Shape<'s> {
        let mut shape =
            Shape { properties: Vec::new(), required: Vec::new(), others: schema.get("additionalProperties") };
        if let Some(properties) = schema["properties"].as_object() {
            shape.properties.extend(properties.iter().map(|(name, schema)| (name.as_str(), schema)));
        }
        if let Some(required) = schema["required"].as_array() {
            shape.required.extend(required.iter().filter_map(Value::as_str));
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            let part = self.shape(self.resolve(part));
            shape.properties.extend(part.properties);
            shape.required.extend(part.required);
            shape.others = shape.others.or(part.others);
        }
        shape
    }
}

/// The fields that an object may and must have.
struct Shape<'s> {
    properties: Vec<(&'s str, &'s Value)>,
    required: Vec<&'s str>,
    others: Option<&'s Value>,
}

/// Every keyword that [`Spec`] understands.
const KEYWORDS: [&str; 37] = [
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "apiKey",
    "bearerFormat",
    "const",
    "content",
    "enum",
    "explode",
    "format",
    "in",
    "items",
    "maxLength",
    "maximum",
    "minLength",
    "minimum",
    "name",
    "nullable",
    "oneOf",
    "openapi",
    "parameters",
    "paths",
    "components",
    "pattern",
    "properties",
    "requestBody",
    "required",
    "responses",
    "schema",
    "schemas",
    "scheme",
    "security",
    "securitySchemes",
    "style",
    "type",
    "x-source",
];

fn read(text: &str) -> Value {
    let file: Value = serde_json::from_str(text).expect("JSON");
    only_known(&file);
    file
}

/// Panics at a keyword that [`Spec`] does not understand, because it would pass unnoticed.
fn only_known(value: &Value) {
    match value {
        Value::Array(all) => all.iter().for_each(only_known),
        Value::Object(fields) => {
            for (name, value) in fields {
                assert!(KEYWORDS.contains(&name.as_str()), "{name} is not known here");
                // The names below these keywords are the vendor's; below a path, methods come first.
                match (name.as_str(), value) {
                    ("properties" | "schemas" | "responses" | "content" | "securitySchemes", Value::Object(own)) => {
                        own.values().for_each(only_known);
                    }
                    ("paths", Value::Object(own)) => {
                        own.values().filter_map(Value::as_object).flat_map(Map::values).for_each(only_known);
                    }
                    ("security", _) => {}
                    (_, value) => only_known(value),
                }
            }
        }
        _ => {}
    }
}

/// The value of each `{name}` of the template, if the path matches.
fn fit(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    if template.len() != path.len() {
        return None;
    }
    let mut segments = Vec::new();
    for (template, actual) in template.into_iter().zip(path) {
        match template.split_once('{') {
            None if template == actual => {}
            None => return None,
            Some((before, rest)) => {
                let (name, after) = rest.split_once('}').expect("a brace that is closed");
                let value = actual.strip_prefix(before)?.strip_suffix(after)?;
                if value.is_empty() {
                    return None;
                }
                segments.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    Some(segments)
}

/// A path with its SIDs removed.
fn nameless(path: &str) -> String {
    let sid = |segment: &str| {
        let (sid, extension) =
            segment.split_once('.').map_or((segment, String::new()), |(sid, end)| (sid, format!(".{end}")));
        if is_sid(sid) { format!("{{{}}}{extension}", &sid[..2]) } else { segment.to_owned() }
    };
    path.split('/').map(sid).collect::<Vec<_>>().join("/")
}

fn is_sid(text: &str) -> bool {
    text.len() == 34
        && text.is_ascii()
        && text[..2].bytes().all(|byte| byte.is_ascii_uppercase())
        && text[2..].bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn media_type(header: &str) -> &str {
    header.split(';').next().unwrap_or_default().trim()
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the type {other} is not known here"),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The patterns of both files: SIDs, and AssemblyAI's dates.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    if let Some(prefix) = pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix("[0-9a-fA-F]{32}$")) {
        return is_sid(text) && text.starts_with(prefix);
    }
    assert_eq!(pattern, r"^(?:(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2}(?:\.\d+)?))$", "a pattern that is not known here");
    text.contains('T') && text.parse::<jiff::civil::DateTime>().is_ok()
}

fn has_format(format: &str, value: &Value) -> bool {
    let text = match value {
        Value::String(text) => text.as_str(),
        Value::Object(fields) if format == "uri-map" => return fields.values().all(|value| has_format("uri", value)),
        // A format applies to values of its own type only.
        _ => return true,
    };
    match format {
        "date-time-rfc-2822" => jiff::fmt::rfc2822::parse(text).is_ok(),
        "date" => text.parse::<jiff::civil::Date>().is_ok(),
        "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
        // Twilio also calls a path without a host a URI.
        "uri" => text.starts_with('/') || url::Url::parse(text).is_ok(),
        "url" => url::Url::parse(text).is_ok_and(|url| url.has_host()),
        "uuid" => uuid::Uuid::parse_str(text).is_ok(),
        "currency" => text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()),
        "phone-number" | "endpoint" => {
            text.strip_prefix('+').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        }
        "http-method" => matches!(text, "GET" | "POST"),
        "binary" | "twiml" | "int64" | "float" | "double" => true,
        other => panic!("the format {other} is not known here"),
    }
}
