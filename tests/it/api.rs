//! `/openapi.json`: it describes every route, each answer as it is, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::Value;

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

#[tokio::test]
async fn a_stranger_does_not_see_the_description() {
    let world = World::new().await;
    let request = client().get(format!("{}/openapi.json", world.base)).header("x-forwarded-for", "203.0.113.7");
    assert_eq!(request.send().await.expect("an answer").status(), 403);
}
