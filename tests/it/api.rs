//! `/openapi.json`: it describes every route, each answer as it is, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{World, client};

/// The routes that others rely on, whatever else there is.
const CONTRACT: &str = include_str!("fixtures/contract.txt");

const METHODS: [&str; 7] = ["delete", "get", "head", "options", "patch", "post", "put"];

/// Paths with their methods.
type Routes = BTreeMap<String, BTreeSet<String>>;

async fn document(world: &World) -> Value {
    let answer = world.get("/openapi.json").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    answer.json()
}

fn described(document: &Value) -> Routes {
    let paths = document["paths"].as_object().expect("an object").iter();
    let methods = |path: &Value| path.as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>();
    paths.map(|(path, operations)| (path.clone(), methods(operations))).collect()
}

/// The paths of the router, each with the methods that it names to who asks with another one.
async fn routed(world: &World) -> Routes {
    let source = include_str!("../../src/web/mod.rs");
    let router =
        source.split_once("pub fn router(").and_then(|(_, rest)| rest.split_once("\n}\n")).expect("the router");
    let mut routes = Routes::new();
    for path in router.0.split(".at(\"").skip(1).map(|line| line.split_once('"').expect("a path").0) {
        let mut asked = path.to_owned();
        while let (Some(start), Some(end)) = (asked.find('{'), asked.find('}')) {
            asked.replace_range(start..=end, "x");
        }
        let answer =
            world.http.request(Method::from_bytes(b"BREW").expect("a method"), format!("{}{asked}", world.base));
        let answer = answer.send().await.expect("an answer");
        assert_eq!(answer.status(), 405, "{path}");
        let allowed = answer.headers()["allow"].to_str().expect("text").to_lowercase();
        let mut methods: BTreeSet<String> = allowed.split(',').map(|method| method.trim().to_owned()).collect();
        // HEAD is answered wherever there is GET.
        let has_its_own = router.0.contains(&format!("\"{path}\", tus("));
        if methods.contains("get") && !has_its_own {
            methods.remove("head");
        }
        assert!(methods.iter().all(|method| METHODS.contains(&method.as_str())), "{path}: {methods:?}");
        routes.insert(path.to_owned(), methods);
    }
    routes
}

#[tokio::test]
async fn every_route_is_described_and_nothing_else() {
    let world = World::new().await;
    let routed = routed(&world).await;
    assert!(routed.len() > 80, "{}", routed.len());
    assert_eq!(described(&document(&world).await), routed, "left: described, right: in the router");
}

#[tokio::test]
async fn every_route_of_the_contract_is_described() {
    let described = described(&document(&World::new().await).await);
    let mut missing = Vec::new();
    for line in CONTRACT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (methods, path) = line.split_once(' ').expect("a method and a path");
        for method in methods.split('|') {
            let is_there = described.get(path).is_some_and(|methods| methods.contains(&method.to_lowercase()));
            missing.extend((!is_there).then(|| format!("{method} {path}")));
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

/// Calls `visit` with each object of a JSON document.
fn each_object<'v>(value: &'v Value, visit: &mut impl FnMut(&'v serde_json::Map<String, Value>)) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| each_object(one, visit)),
        Value::Object(fields) => {
            visit(fields);
            fields.values().for_each(|one| each_object(one, visit));
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere_and_every_component_is_used() {
    let document = document(&World::new().await).await;
    let mut used = BTreeSet::new();
    each_object(&document, &mut |fields| {
        if let Some(name) = fields.get("$ref").and_then(Value::as_str) {
            used.insert(name.strip_prefix("#/components/").expect("a component").to_owned());
        }
    });
    let names = |kind: &str| {
        let all = document["components"][kind].as_object().expect("an object").keys();
        all.map(|name| format!("{kind}/{name}")).collect::<Vec<_>>()
    };
    let there: BTreeSet<String> = ["schemas", "responses"].into_iter().flat_map(names).collect();
    assert_eq!(used, there, "left: used, right: there");
}

#[tokio::test]
async fn every_operation_has_a_name_of_its_own_and_what_it_answers() {
    let document = document(&World::new().await).await;
    let mut names = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().expect("an object") {
        for (method, operation) in operations.as_object().expect("an object") {
            let name = operation["operationId"].as_str().expect("a name");
            assert!(names.insert(name), "{name}: {method} {path}");
            let answers = operation["responses"].as_object().expect("an object");
            assert!(answers.keys().any(|status| status.starts_with(['2', '3'])), "{method} {path}");
            assert!(answers.values().all(|answer| answer["description"] != ""), "{method} {path}");
            let body = &operation["requestBody"]["content"]["application/json"];
            assert!(body.is_null() || !body["example"].is_null(), "{method} {path} has no example");
        }
    }
}

/// Lists with more than two entries, each with the name of its entries.
const LISTS: [(&str, &str); 8] = [
    ("/calls", "calls"),
    ("/contacts", "contacts"),
    ("/imports", "imports"),
    ("/items", "items"),
    ("/tags", "tags"),
    ("/transcript/{id}/corrections", "corrections"),
    ("/trials", "trials"),
    ("/vocabulary", "terms"),
];

#[tokio::test]
async fn every_list_is_read_page_by_page_with_limit_and_the_next_of_the_page_before() {
    let world = World::new().await;
    let mut transcript = String::new();
    for tag in ["autumn", "spring", "winter"] {
        let (call, _) = world.recorded_call().await;
        world.settle().await;
        world.post_json(&format!("/items/{call}"), &json!({ "tag": tag })).await;
        transcript = world.call(&call).await["transcripts"][0]["id"].as_str().expect("an id").to_owned();
        let trial = json!({ "calls": [call], "speech_models": ["universal-2"], "again": true, "confirm": true });
        assert_eq!(world.post_json("/trials", &trial).await.status, 201);
        assert_eq!(world.post_json("/imports", &json!({ "since": "2026-01-01", "confirm": true })).await.status, 201);
        world.post_json("/vocabulary", &json!({ "term": tag })).await;
        world.clock.advance(Duration::from_secs(60));
    }
    for (at, number) in ["+14155550131", "+14155550132", "+14155550133"].iter().enumerate() {
        world.post_json("/contacts", &json!({ "number": number, "name": format!("Nurse {at}") })).await;
        let edit = json!({ "version": at, "from": at, "to": at + 1, "text": format!("word{at}") });
        assert_eq!(world.post_json(&format!("/transcript/{transcript}/corrections"), &edit).await.status, 200);
    }
    for (list, name) in LISTS {
        let list = list.replace("{id}", &transcript);
        let whole = world.get(&list).await.json()[name].take();
        let whole = whole.as_array().expect("a list");
        assert!(whole.len() >= 3, "{list}: {whole:?}");
        let (mut read, mut next) = (Vec::new(), Some(String::new()));
        while let Some(cursor) = next {
            let query: String = url::form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
            let mut answer = world.get(&format!("{list}?limit=2&cursor={query}")).await.json();
            let entries = answer[name].as_array_mut().expect("a list").split_off(0);
            assert!(matches!(entries.len(), 1 | 2), "{list}: {entries:?}");
            read.extend(entries);
            next = answer["next"].as_str().map(str::to_owned);
        }
        assert_eq!(read, *whole, "{list}");
        for limit in ["0", "201", "-1", "a"] {
            world.get(&format!("{list}?limit={limit}")).await.problem(400, "bad-request");
        }
    }
}

#[tokio::test]
async fn every_description_of_a_list_has_limit_and_cursor() {
    let document = document(&World::new().await).await;
    for (list, _) in LISTS.into_iter().chain([("/webhooks/deliveries", ""), ("/trials/{id}", "")]) {
        let parameters = document["paths"][list]["get"]["parameters"].as_array().expect("a list");
        for name in ["limit", "cursor"] {
            assert!(parameters.iter().any(|parameter| parameter["name"] == name), "{list} {name}");
        }
    }
}

#[tokio::test]
async fn a_stranger_does_not_see_the_description() {
    let world = World::new().await;
    let request = client().get(format!("{}/openapi.json", world.base)).header("x-forwarded-for", "203.0.113.7");
    assert_eq!(request.send().await.expect("an answer").status(), 403);
}
