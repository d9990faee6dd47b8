//! One operation of the API: what it is asked, and what it answers.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use serde_json::{Map, Value, json};
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, ToSchema};

use super::problems::{OF_BODY, OF_OPERATOR, OF_VENDOR, PROBLEMS};
use crate::model::named_token::Right;
use crate::web::rights::right_of;

/// The statuses of vendors' refusals.
pub(super) const ANY_REFUSAL: &str = "4XX";

/// The media type of forms.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// Operations about the same things.
pub(super) struct Group {
    pub(super) name: &'static str,
    /// Markdown.
    pub(super) says: &'static str,
    pub(super) operations: Vec<Operation>,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    Operator,
    Twilio,
    AssemblyAi,
    /// Nobody needs a right for it.
    Anyone,
}

/// A method and a path, and all that is said of them. Texts are Markdown.
pub(super) struct Operation {
    /// In lower case.
    pub(super) method: &'static str,
    /// As the router has it.
    pub(super) path: &'static str,
    /// Never changes: clients are generated from it.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) caller: Caller,
    description: &'static str,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: BTreeMap<String, Value>,
    problems: BTreeSet<&'static str>,
    /// The schemas that it names.
    pub(super) schemas: Vec<(String, RefOr<Schema>)>,
}

macro_rules! methods {
    ($($method:ident),+) => {
        $(pub(super) fn $method(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
            Operation::new(stringify!($method), path, id, summary)
        })+
    };
}

methods!(get, head, post, put, patch, delete, options);

impl Operation {
    fn new(method: &'static str, path: &'static str, id: &'static str, summary: &'static str) -> Self {
        let (parameters, names) = (Vec::new(), path.split('{').skip(1));
        let names: Vec<&str> = names.filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect();
        Self {
            method,
            path,
            id,
            summary,
            caller: Caller::Operator,
            description: "",
            parameters: names.into_iter().map(|name| of_path(path, name)).chain(parameters).collect(),
            body: None,
            answers: BTreeMap::new(),
            problems: OF_OPERATOR.iter().copied().collect(),
            schemas: Vec::new(),
        }
    }

    /// What the summary leaves out.
    pub(super) fn says(self, description: &'static str) -> Self {
        Self { description, ..self }
    }

    /// Somebody else than the operator asks it.
    pub(super) fn of(self, caller: Caller) -> Self {
        let problems = match caller {
            Caller::Operator => OF_OPERATOR,
            Caller::Twilio => &["bad-request", "database", "forbidden", "internal"],
            Caller::AssemblyAi => &["bad-request", "bad-webhook-secret", "database", "internal"],
            Caller::Anyone => &["bad-request", "internal"],
        };
        Self { caller, problems: problems.iter().copied().collect(), ..self }
    }

    pub(super) fn query<T: IntoParams>(mut self) -> Self {
        for parameter in T::into_params(|| Some(ParameterIn::Query)) {
            let is_in_forms = parameter.name != "format";
            let mut parameter = json!(parameter);
            // A form sends all its fields, so that a blank one is as good as none.
            if let Some(Value::Array(words)) = parameter["schema"].get_mut("enum").filter(|_| is_in_forms) {
                words.push(json!(""));
            }
            self.parameters.push(parameter);
        }
        self
    }

    /// The parameters of a query, but for those of these names.
    pub(super) fn query_but<T: IntoParams>(self, names: &[&str]) -> Self {
        let mut operation = self.query::<T>();
        operation.parameters.retain(|parameter| !names.contains(&parameter["name"].as_str().unwrap_or_default()));
        operation
    }

    pub(super) fn header(mut self, name: &str, is_required: bool, schema: Value, says: &str) -> Self {
        self.parameters.push(json!({
            "name": name, "in": "header", "required": is_required, "description": says, "schema": schema,
        }));
        self
    }

    /// The same request sent twice with the same key is carried out once.
    pub(super) fn once_by_key(self) -> Self {
        let says =
            "The same request sent again with the same key is carried out once. Any text that no other request has.";
        let schema = json!({ "type": "string" });
        self.header("Idempotency-Key", false, schema, says).refused(&["other-request"])
    }

    /// A body of JSON.
    pub(super) fn body<T: ToSchema>(mut self, example: Value) -> Self {
        let schema = self.schema_of::<T>();
        self.body_of("application/json", json!({ "schema": schema, "example": example }))
    }

    /// A body of JSON: one of these, or a list.
    pub(super) fn body_or_list<T: ToSchema>(mut self, example: Value) -> Self {
        let one = self.schema_of::<T>();
        let either = json!({ "oneOf": [one, { "type": "array", "items": one, "minItems": 1 }] });
        self.body_of("application/json", json!({ "schema": either, "example": example }))
    }

    /// A body that is a form.
    pub(super) fn form<T: ToSchema>(mut self, example: Value) -> Self {
        let schema = self.schema_of::<T>();
        self.body_of(FORM, json!({ "schema": schema, "example": example }))
    }

    /// A body of a media type.
    pub(super) fn body_of(mut self, media_type: &str, content: Value) -> Self {
        let body = self.body.get_or_insert_with(|| json!({ "required": true, "content": {} }));
        body["content"][media_type] = content;
        self.refused(OF_BODY)
    }

    /// There need not be a body.
    pub(super) fn body_is_optional(mut self) -> Self {
        if let Some(body) = &mut self.body {
            body["required"] = json!(false);
        }
        self
    }

    pub(super) fn json<T: ToSchema>(mut self, status: u16, says: &str) -> Self {
        let schema = self.schema_of::<T>();
        self.answers(status, says, "application/json", schema)
    }

    /// A list of these.
    pub(super) fn json_list<T: ToSchema>(mut self, status: u16, says: &str) -> Self {
        let items = self.schema_of::<T>();
        self.answers(status, says, "application/json", json!({ "type": "array", "items": items }))
    }

    pub(super) fn text(self, says: &str) -> Self {
        self.answers(200, says, "text/plain", json!({ "type": "string" }))
    }

    /// A file, or what else no schema describes.
    pub(super) fn file(self, status: u16, media_type: &str, says: &str) -> Self {
        self.answers(status, says, media_type, json!({}))
    }

    /// An answer without a body.
    pub(super) fn nothing(mut self, status: u16, says: &str) -> Self {
        self.answers.insert(status.to_string(), json!({ "description": says }));
        self
    }

    /// A browser gets a page instead, or is sent to one.
    pub(super) fn page(self) -> Self {
        if self.method == "get" {
            return self.answers(200, "The page.", "text/html", json!({ "type": "string" }));
        }
        self.nothing(303, "To a browser: the address of the page that shows it, in `Location`.")
    }

    pub(super) fn answers(mut self, status: u16, says: &str, media_type: &str, schema: Value) -> Self {
        let answer = self.answers.entry(status.to_string());
        let answer = answer.or_insert_with(|| json!({ "description": says, "content": {} }));
        let schema = match answer["content"].get(media_type) {
            Some(other) => json!({ "anyOf": [other["schema"], schema] }),
            None => schema,
        };
        answer["content"][media_type] = json!({ "schema": schema });
        self
    }

    /// What may be wrong with a request, by the ends of the problems' types.
    pub(super) fn refused(mut self, slugs: &[&'static str]) -> Self {
        self.problems.extend(slugs);
        self
    }

    /// It may have to ask a vendor.
    pub(super) fn asks_vendor(mut self) -> Self {
        self.answers
            .insert(ANY_REFUSAL.to_owned(), problem("`vendor-rejected`: a vendor's own refusal, with its status."));
        self.refused(OF_VENDOR)
    }

    fn schema_of<T: ToSchema>(&mut self) -> Value {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        json!({ "$ref": format!("#/components/schemas/{}", T::name()) })
    }

    /// The right that a named token needs for it.
    fn right(&self) -> Right {
        let method = Method::from_bytes(self.method.to_uppercase().as_bytes()).unwrap_or(Method::POST);
        right_of(&method, self.path)
    }

    /// Returns the operation as the document has it.
    pub(super) fn as_json(&self, group: &str) -> Value {
        let mut operation = Map::new();
        operation.insert("tags".to_owned(), json!([group]));
        operation.insert("operationId".to_owned(), json!(self.id));
        operation.insert("summary".to_owned(), json!(self.summary));
        if !self.description.is_empty() {
            operation.insert("description".to_owned(), json!(self.description));
        }
        if !self.parameters.is_empty() {
            operation.insert("parameters".to_owned(), json!(self.parameters));
        }
        if let Some(body) = &self.body {
            operation.insert("requestBody".to_owned(), body.clone());
        }
        let mut answers = self.answers.clone();
        for (status, name, _) in self.refusals() {
            answers.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{name}") }));
        }
        operation.insert("responses".to_owned(), json!(answers));
        match self.caller {
            Caller::Operator => {
                let right = self.right().as_str();
                operation.insert("x-right".to_owned(), json!(right));
                operation.insert("security".to_owned(), json!([{}, { "token": [right] }, { "password": [right] }]));
            }
            Caller::Twilio => _ = operation.insert("security".to_owned(), json!([{ "twilio": [] }])),
            Caller::AssemblyAi => _ = operation.insert("security".to_owned(), json!([{ "assemblyai": [] }])),
            Caller::Anyone => _ = operation.insert("security".to_owned(), json!([])),
        }
        Value::Object(operation)
    }

    /// The problems by their statuses: the status, a name that the same problems have in every operation, and the answer.
    pub(super) fn refusals(&self) -> Vec<(u16, String, Value)> {
        let mut by_status: BTreeMap<u16, (String, Vec<String>)> = BTreeMap::new();
        for (slug, statuses, says) in PROBLEMS.iter().filter(|(slug, ..)| self.problems.contains(slug)) {
            for status in *statuses {
                let (name, all) = by_status.entry(*status).or_insert_with(|| (status.to_string(), Vec::new()));
                name.push('.');
                name.push_str(slug);
                all.push(format!("`{slug}`: {says}"));
            }
        }
        by_status.into_iter().map(|(status, (name, all))| (status, name, problem(&all.join(" ")))).collect()
    }
}

fn problem(says: &str) -> Value {
    let content = json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
    json!({ "description": says, "content": content })
}

/// Describes a parameter of a path.
fn of_path(path: &str, name: &str) -> Value {
    let hex = json!({ "type": "string", "pattern": "^[0-9a-f]{32}$" });
    let uuid = json!({ "type": "string", "format": "uuid" });
    let sid = |letters: &str| json!({ "type": "string", "pattern": format!("^{letters}[0-9a-f]{{32}}$") });
    let text = json!({ "type": "string", "minLength": 1 });
    let (schema, says, example) = match (path.split('/').nth(1).unwrap_or_default(), name) {
        (_, "call") => {
            let either = json!({ "type": "string", "pattern": "^(CA)?[0-9a-f]{32}$" });
            (either, "Its id, or the SID of a call.", "CA0123456789abcdef0123456789abcdef")
        }
        ("get-recording-url", _) => (sid("CA"), "The SID of a call.", "CA0123456789abcdef0123456789abcdef"),
        ("recordings", _) => {
            let file = json!({ "type": "string", "pattern": "^RE[0-9a-f]{32}(\\.wav|\\.mp3)?$" });
            (file, "The SID of a recording, with `.wav`, `.mp3` or neither.", "RE0123456789abcdef0123456789abcdef.mp3")
        }
        (_, "number") => {
            let number = json!({ "type": "string", "pattern": "^\\+?[1-9][0-9]{6,14}$" });
            (number, "A number with its country code, with or without `+`.", "+14155551234")
        }
        ("transcript", "id" | "other") => {
            (uuid, "AssemblyAI's id of a transcript.", "9ea68fd3-f953-42c1-9742-976c447fb463")
        }
        ("transcript", _) => (text, "The id of a correction, or of a part of it.", "5d41402abc4b2a76b9719d911017c592"),
        ("uploads" | "trials" | "imports" | "replace", _) => (hex, "Its id.", "5d41402abc4b2a76b9719d911017c592"),
        ("webhooks", _) if path.contains("deliveries") => {
            (text, "The id of a delivery, which is its `webhook-id`.", "msg_12_1")
        }
        ("webhooks", _) => (json!({ "type": "integer", "minimum": 1 }), "Its id.", "1"),
        ("vocabulary", _) => (text, "Its id.", "5d41402abc4b2a76b9719d911017c592"),
        _ => (text, "What is asked for.", "routes"),
    };
    json!({
        "name": name, "in": "path", "required": true, "description": says, "schema": schema, "example": example,
    })
}
