//! The description of the API for people, `/help/api`: Markdown that is written from the document itself, so that it says the
//! same.

use std::fmt::Write as _;

use serde_json::Value;

use super::operation::ANY_REFUSAL;
use super::problems::{OF_OPERATOR, OF_VENDOR, PROBLEMS};

/// Where examples are sent.
const HOST: &str = "localhost:8000";

/// Returns the page: what holds for all operations, each operation, each object that is sent, and each problem.
pub(super) fn markdown(document: &Value, says: &str) -> String {
    let mut page = says.to_owned();
    let of_all: Vec<String> = OF_OPERATOR.iter().map(|slug| problem_link(slug)).collect();
    page +=
        &format!("\nEvery operation may answer {}. Others are named with it.\n\n## Operations\n\n", of_all.join(", "));
    for tag in list(&document["tags"]) {
        let name = text(&tag["name"]);
        page += &format!("- [{name}](#{})\n", anchor(name));
    }
    for tag in list(&document["tags"]) {
        page += &format!("\n## {}\n\n{}\n", text(&tag["name"]), text(&tag["description"]));
        for (path, operations) in object(&document["paths"]) {
            for (method, operation) in object(operations).filter(|(_, one)| one["tags"][0] == tag["name"]) {
                page += &of_operation(path, method, operation);
            }
        }
    }
    page += "\n## Objects\n";
    for (name, schema) in object(&document["components"]["schemas"]) {
        page += &format!("\n### {name}\n\n{}", of_schema(schema));
    }
    page += "\n## Problems\n\nThe ends of their `type`, after `urn:callscribe:problem:`.\n";
    for (slug, statuses, says) in PROBLEMS {
        let statuses: Vec<String> = statuses.iter().map(u16::to_string).collect();
        page += &format!("\n### {slug}\n\n{}. {says}\n", statuses.join(" or "));
    }
    page
}

fn of_operation(path: &str, method: &str, operation: &Value) -> String {
    let method = method.to_uppercase();
    let mut said = format!("\n### `{method} {path}`\n\n{}.", text(&operation["summary"]));
    let says = text(&operation["description"]);
    if !says.is_empty() {
        said += &format!(" {says}");
    }
    said += "\n";
    let parameters = list(&operation["parameters"]);
    if !parameters.is_empty() {
        said += "\n";
    }
    for parameter in parameters {
        let place = match text(&parameter["in"]) {
            "query" => "",
            "header" => "header ",
            _ => "path ",
        };
        let needed = if parameter["required"] == true && !place.starts_with("path") { ", required" } else { "" };
        let (name, kind) = (text(&parameter["name"]), kind_of(&parameter["schema"]));
        said += format!("- {place}`{name}`: {kind}{needed}. {}", text(&parameter["description"])).trim_end();
        said += "\n";
    }
    for (media_type, content) in object(&operation["requestBody"]["content"]) {
        let needed = if operation["requestBody"]["required"] == false { ", which may be left out" } else { "" };
        said += &format!("\nBody `{media_type}`{needed}: {}\n", kind_of(&content["schema"]));
        if content["schema"].get("properties").is_some() {
            said += &format!("\n{}", of_schema(&content["schema"]));
        }
    }
    said += &format!("\n```sh\n{}\n```\n\n", curl(&method, path, operation));
    let (mut refusals, common) = (Vec::new(), OF_OPERATOR);
    for (status, answer) in object(&operation["responses"]) {
        if status == ANY_REFUSAL {
            continue;
        }
        let Some(reference) = answer["$ref"].as_str() else {
            said += &format!("- {status}: {}{}\n", text(&answer["description"]), content_of(answer));
            continue;
        };
        let name = reference.rsplit('/').next().unwrap_or_default();
        for slug in name.split('.').skip(1).filter(|slug| !common.contains(slug) && !OF_VENDOR.contains(slug)) {
            refusals.push(format!("{} ({status})", problem_link(slug)));
        }
    }
    if operation["responses"].get(ANY_REFUSAL).is_some() {
        refusals.push("those that begin with `vendor-`".to_owned());
    }
    if !refusals.is_empty() {
        said += &format!("- Problems: {}\n", refusals.join(", "));
    }
    if let Some(right) = operation["x-right"].as_str() {
        said += &format!("- A named token needs the right `{right}`\n");
    }
    said
}

/// What an answer has, by its media types.
fn content_of(answer: &Value) -> String {
    let mut all = Vec::new();
    for (media_type, content) in object(&answer["content"]) {
        let schema = &content["schema"];
        let kind = kind_of(schema);
        let is_object = media_type.ends_with("json") && object(schema).next().is_some();
        let kind = if is_object { format!(" {kind}") } else { String::new() };
        all.push(format!("`{media_type}`{kind}"));
    }
    if all.is_empty() { String::new() } else { format!(" {}", all.join(", ")) }
}

/// The command that asks for it.
fn curl(method: &str, path: &str, operation: &Value) -> String {
    let mut address = format!("{HOST}{path}");
    let mut command = match method {
        "GET" => "curl".to_owned(),
        "HEAD" => "curl -I".to_owned(),
        method => format!("curl -X {method}"),
    };
    let mut query = Vec::new();
    for parameter in list(&operation["parameters"]) {
        let (name, example) = (text(&parameter["name"]), written(&parameter["example"]));
        match text(&parameter["in"]) {
            "path" => address = address.replace(&format!("{{{name}}}"), &example),
            "query" if !example.is_empty() => {
                query.push(format!("{name}={}", example.replace('+', "%2B").replace(' ', "%20")))
            }
            "header" if parameter["required"] == true => {
                let value = written(&parameter["schema"]["const"]);
                _ = write!(command, " -H '{name}: {}'", if value.is_empty() { "5" } else { &value });
            }
            _ => {}
        }
    }
    for (media_type, content) in object(&operation["requestBody"]["content"]).take(1) {
        match &content["example"] {
            Value::Null => {}
            // A shell ends the text at an apostrophe.
            example if media_type == "application/json" => {
                _ = write!(
                    command,
                    " -H 'Content-Type: application/json' -d '{}'",
                    example.to_string().replace('\'', r"'\''")
                );
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    _ = write!(command, " -d {name}={}", written(value));
                }
            }
            _ => {}
        }
    }
    match query.join("&") {
        query if query.is_empty() => format!("{command} {address}"),
        query => format!("{command} \"{address}?{query}\""),
    }
}

/// The fields of an object, or what else it is.
fn of_schema(schema: &Value) -> String {
    let mut said = String::new();
    let says = text(&schema["description"]);
    if !says.is_empty() {
        said += &format!("{says}\n\n");
    }
    let own = |schema: &Value| {
        let mut fields = String::new();
        for (name, field) in object(&schema["properties"]) {
            let needed = list(&schema["required"]).iter().any(|required| required == name);
            let is_body = schema["additionalProperties"] == false;
            let needed = if needed && is_body { ", required" } else { "" };
            fields += format!("- `{name}`: {}{needed}. {}", kind_of(field), says_of(field)).trim_end();
            fields += "\n";
        }
        fields
    };
    let parts = list(&schema["allOf"]);
    let others: Vec<String> = parts.iter().filter(|part| part.get("$ref").is_some()).map(kind_of).collect();
    if !others.is_empty() {
        said +=
            &format!("All that {} {}, and:\n\n", others.join(" and "), if others.len() == 1 { "has" } else { "have" });
    }
    let fields: String = std::iter::once(schema).chain(parts).map(own).collect();
    match fields.is_empty() && others.is_empty() {
        true => said + &format!("{}.\n", kind_of(schema)),
        false => said + &fields,
    }
}

fn says_of(field: &Value) -> &str {
    let of_part = || list(&field["oneOf"]).iter().map(|part| text(&part["description"])).find(|says| !says.is_empty());
    match text(&field["description"]) {
        "" => of_part().unwrap_or_default(),
        says => says,
    }
}

/// What a value is, in a few words.
fn kind_of(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return format!("[{name}](#{})", anchor(name));
    }
    for either in ["oneOf", "anyOf"] {
        let parts = list(&schema[either]);
        if !parts.is_empty() {
            return parts.iter().map(kind_of).collect::<Vec<_>>().join(" or ");
        }
    }
    let words: Vec<String> =
        list(&schema["enum"]).iter().filter(|word| *word != "").map(|word| format!("`{}`", written(word))).collect();
    // The list of problems is a section of its own.
    if !words.is_empty() && words.len() < 30 {
        return words.join(", ");
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().map(text).collect(),
        one => vec![text(one)],
    };
    let kind = |kind: &str| match kind {
        "array" => format!("list of {}", kind_of(&schema["items"])),
        "string" if schema["format"] == "date-time" => "time".to_owned(),
        "string" if schema["format"] == "uuid" => "UUID".to_owned(),
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        "null" => "`null`".to_owned(),
        "" => "anything".to_owned(),
        other => other.to_owned(),
    };
    let kinds = types.into_iter().map(kind).collect::<Vec<_>>().join(" or ");
    match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        (Some(least), Some(most)) => format!("{kinds}, {least} to {most}"),
        (None, Some(most)) => format!("{kinds}, {most} at most"),
        _ => kinds,
    }
}

fn problem_link(slug: &str) -> String {
    format!("[`{slug}`](#{slug})")
}

/// The anchor that the manual gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// A value as a command line has it.
fn written(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
