//! `/openapi.json`: the description of the API, OpenAPI 3.1. The schemas are those of the structs that handlers send and read;
//! what an operation is asked and answers is in the files of its group. A test compares it with the router.

mod calls;
mod contacts;
mod corrections;
mod imports;
mod items;
mod operation;
mod page;
mod problems;
mod program;
mod tokens;
mod transcripts;
mod trials;
mod uploads;
mod vendors;
mod vocabulary;
mod webhooks;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

use self::operation::Group;
use self::problems::PROBLEMS;
use super::error::{ApiError, ChangedView, Problem};
use super::extract::{NoParameters, Query};
use crate::webhook_secret::SECRET_HEADER;

/// What holds for all operations.
const SAYS: &str = include_str!("../../manual/api.md");

/// The document, as it is sent.
static WRITTEN: LazyLock<String> = LazyLock::new(|| serde_json::to_string(&*DOCUMENT).unwrap_or_default() + "\n");

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// The description for people, in Markdown.
static MARKDOWN: LazyLock<String> = LazyLock::new(|| page::markdown(&DOCUMENT, SAYS));

/// Returns the page of the manual with the description.
pub(super) fn manual() -> &'static str {
    &MARKDOWN
}

/// `/openapi.json`.
pub(super) async fn show(_: Query<NoParameters>) -> Result<Response, ApiError> {
    Ok(([(header::CONTENT_TYPE, "application/json")], WRITTEN.as_str()).into_response())
}

/// All operations.
fn groups() -> [Group; 13] {
    [
        items::group(),
        calls::group(),
        transcripts::group(),
        corrections::group(),
        uploads::group(),
        imports::group(),
        trials::group(),
        vocabulary::group(),
        contacts::group(),
        webhooks::group(),
        tokens::group(),
        program::group(),
        vendors::group(),
    ]
}

fn document() -> Value {
    let (mut paths, mut tags, mut refusals) = (Map::new(), Vec::new(), BTreeMap::new());
    let mut schemas = vec![(Problem::name().into_owned(), Problem::schema())];
    Problem::schemas(&mut schemas);
    ChangedView::schemas(&mut schemas);
    for group in groups() {
        tags.push(json!({ "name": group.name, "description": group.says }));
        for operation in group.operations {
            let path = paths.entry(operation.path).or_insert_with(|| json!({}));
            path[operation.method] = operation.as_json(group.name);
            refusals.extend(operation.refusals().into_iter().map(|(_, name, answer)| (name, answer)));
            schemas.extend(operation.schemas);
        }
    }
    let schemas: BTreeMap<_, _> = schemas.into_iter().collect();
    let slugs: Vec<String> = PROBLEMS.iter().map(|(slug, ..)| format!("urn:callscribe:problem:{slug}")).collect();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "callscribe",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Dials, records and transcribes phone calls.",
            "description": SAYS.replace("](safety.md)", "](/help/safety)"),
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": refusals,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "`OPERATOR_TOKEN` or a named token." },
                "password": { "type": "http", "scheme": "basic", "description": "Either of them as the password." },
                "twilio": {
                    "type": "apiKey", "in": "header", "name": "X-Twilio-Signature",
                    "description": "Twilio's signature of the request.",
                },
                "assemblyai": {
                    "type": "apiKey", "in": "header", "name": SECRET_HEADER,
                    "description": "A secret that only AssemblyAI knows.",
                },
            },
        },
    });
    let problem = &mut document["components"]["schemas"]["Problem"]["properties"];
    problem["type"]["enum"] = json!(slugs);
    // Only the problem `changed` has these.
    if let (Value::Object(fields), Value::Object(changed)) = (problem, &json!(ChangedView::schema())["properties"]) {
        fields.extend(changed.clone());
    }
    tidy(&mut document);
    document
}

/// The end of the names of structs that are sent, which says nothing to who reads the document.
const VIEW: &str = "View";

/// Writes names and texts as readers of JSON know them.
fn tidy(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(tidy),
        Value::Object(fields) => {
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = text.replace("`None`", "`null`");
            }
            if let Some(Value::String(name)) = fields.get_mut("$ref")
                && let Some(short) = name.strip_suffix(VIEW)
            {
                *name = short.to_owned();
            }
            // A described field whose schema is written in place.
            if let Some(Value::Array(all)) = fields.get("allOf")
                && let [Value::Object(schema), Value::Object(says)] = &all[..]
                && !says.contains_key("properties")
                && says.get("type") == Some(&json!("object"))
            {
                let mut whole = schema.clone();
                whole.extend(
                    says.iter().filter(|(name, _)| *name != "type").map(|(name, says)| (name.clone(), says.clone())),
                );
                *fields = whole;
            }
            // A field that may be left out says nothing more by that.
            fields.retain(|name, value| name != "default" || !value.is_null() && value != "");
            if let Some(Value::Object(schemas)) = fields.get_mut("schemas") {
                let all = std::mem::take(schemas).into_iter();
                schemas.extend(all.map(|(name, schema)| (name.strip_suffix(VIEW).unwrap_or(&name).to_owned(), schema)));
            }
            fields.values_mut().for_each(tidy);
        }
        _ => {}
    }
}
