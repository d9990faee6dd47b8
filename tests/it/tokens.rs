//! Named tokens: what each lets its bearer do, how it ends, and that the history tells who did something.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::access::operator_routes;
use crate::support::stream::Stream;
use crate::support::{Answer, World};

const JSON: (&str, &str) = ("content-type", "application/json");

/// The only host that is not this computer's.
const HOST: (&str, &str) = ("host", "example.ngrok.app");

impl World {
    /// Makes a token. Returns its id and its text.
    async fn token(&self, name: &str, rights: &[&str]) -> (String, String) {
        let made = self.post_json("/tokens", &json!({"name": name, "rights": rights})).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let made = made.json();
        assert_eq!((&made["name"], &made["rights"]), (&json!(name), &json!(rights)));
        let text = |field: &str| made[field].as_str().expect("text").to_owned();
        (text("id"), text("token"))
    }

    async fn with_token(&self, method: Method, path: &str, token: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &[JSON, ("authorization", &bearer(token))], &body).await
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn a_token_lets_its_bearer_do_what_its_rights_say_and_nothing_else() {
    let world = World::new().await;
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let transcript = world.call(&call).await["transcripts"][0]["id"].as_str().expect("an id").to_owned();
    let mut tokens = Vec::new();
    for right in ["read", "edit", "dial", "admin"] {
        tokens.push((right, world.token(right, &[right]).await.1));
    }
    let requests = [
        (Method::GET, "/items".to_owned(), "read"),
        (Method::GET, format!("/calls/{call}/"), "read"),
        (Method::GET, "/export?format=csv".to_owned(), "read"),
        (Method::POST, format!("/transcript/{transcript}/corrections"), "edit"),
        (Method::PUT, "/contacts/+14155551234".to_owned(), "edit"),
        (Method::POST, format!("/calls/{call}/speakers"), "edit"),
        (Method::GET, "/dial/abc".to_owned(), "dial"),
        (Method::POST, "/calls".to_owned(), "dial"),
        (Method::POST, "/transcribe".to_owned(), "dial"),
        (Method::POST, "/uploads".to_owned(), "dial"),
        (Method::POST, "/trials".to_owned(), "dial"),
        (Method::POST, "/imports".to_owned(), "dial"),
        (Method::POST, format!("/calls/{call}/retry"), "dial"),
        (Method::GET, "/tokens".to_owned(), "admin"),
        (Method::GET, "/webhooks".to_owned(), "admin"),
        (Method::POST, "/items/delete".to_owned(), "admin"),
        (Method::DELETE, "/items/unknown".to_owned(), "admin"),
    ];
    for (method, path, needed) in requests {
        for (right, token) in &tokens {
            let answer = world.with_token(method.clone(), &path, token, &Value::Null).await;
            let is_refused = answer.status == 403 && answer.text().contains("not-permitted");
            assert_eq!(is_refused, ![needed, "admin"].contains(right), "{right}: {method} {path}");
            assert!(answer.status != 401 && !answer.status.is_server_error(), "{right}: {method} {path}");
        }
    }
    assert_eq!(world.calls_placed(), 1);
    // An address without a route says so, as to the operator.
    world.with_token(Method::GET, "/nothing", &tokens[0].1, &Value::Null).await.problem(404, "no-such-path");
}

#[tokio::test]
async fn a_token_that_may_only_read_changes_and_costs_nothing() {
    let world = World::new().await;
    let (_, token) = world.token("reader", &["read"]).await;
    for (method, path) in operator_routes() {
        // Nothing else is behind `/logout`; `/mcp` checks the right of each tool.
        if ["/events", "/logout", "/mcp", "/no/such/path"].contains(&&*path) {
            continue;
        }
        let is_for_others = ["/dial/", "/tokens", "/webhooks", "/uploads"].iter().any(|begin| path.starts_with(begin));
        for path in [path.clone(), path.split('?').next().unwrap_or_default().trim_end_matches('/').to_owned() + "/"] {
            let answer = world.with_token(method.clone(), &path, &token, &Value::Null).await;
            let is_refused = answer.status == 403 && answer.text().contains("not-permitted");
            assert_eq!(is_refused, method != Method::GET || is_for_others, "{method} {path}: {}", answer.status);
        }
    }
    assert_eq!((world.calls_placed(), world.transcript_requests()), (0, Vec::new()));
    // A damaged token is none.
    world.with_token(Method::GET, "/items", &token[..60], &Value::Null).await.problem(401, "unknown-token");
}

#[tokio::test]
async fn a_token_works_from_elsewhere_until_it_is_revoked_on_any_instance() {
    let world = World::with(&[("OPERATOR_TOKEN", "an-operator-token-1")]).await;
    let (id, token) = world.token("CRM", &["read"]).await;
    let headers = [HOST, ("authorization", &bearer(&token))];
    let (_app, elsewhere) = world.another_app_with_url(&[("OPERATOR_TOKEN", "an-operator-token-1")]).await;
    let stream = async |base: &str| match Stream::open(&world.http, base, "", &headers).await {
        Ok(stream) => stream,
        Err(answer) => panic!("no stream: {}", answer.text()),
    };
    let (mut here, mut there) = (stream(&world.base).await, stream(&elsewhere).await);
    assert_eq!(world.get_with("/items", &headers).await.status, 200);
    // The operator token in the same place has all rights.
    let operator = [HOST, ("authorization", "Bearer an-operator-token-1")];
    let listed = world.get_with("/tokens", &operator).await;
    assert!(!listed.text().contains(&token) && listed.json()["tokens"][0]["used_at"].is_string(), "{}", listed.text());

    assert_eq!(world.send(Method::DELETE, &format!("/tokens/{id}"), &operator, "").await.status, 204);
    let refused = world.get_with("/items", &headers).await;
    assert_eq!(refused.header("www-authenticate"), "Basic realm=\"callscribe\"");
    refused.problem(401, "unknown-token");
    assert!(here.is_cut_off().await && there.is_cut_off().await);
    // Who sends it from this computer means to use it.
    world.with_token(Method::GET, "/items", &token, &Value::Null).await.problem(401, "unknown-token");
    assert_eq!(world.get_with("/tokens", &operator).await.json(), json!({"tokens": []}));
    world.send(Method::DELETE, &format!("/tokens/{id}"), &operator, "").await.problem(404, "no-such-token");
    // Its name is free again.
    world.token("CRM", &["read"]).await;
}

#[tokio::test]
async fn the_history_of_a_call_says_which_token_asked() {
    let world = World::new().await;
    let (_, token) = world.token("Ada's script", &["admin"]).await;
    let dialed = world.with_token(Method::POST, "/calls", &token, &json!({"to": "+14155551234"})).await;
    assert_eq!(dialed.status, 201, "{}", dialed.text());
    let call = dialed.json()["id"].as_str().expect("an id").to_owned();
    world.settle().await;
    let path = format!("/calls/{call}/speakers");
    assert_eq!(world.with_token(Method::POST, &path, &token, &json!({"1": "Ada"})).await.status, 200);
    let transcript = world.call(&call).await["transcripts"][0]["id"].as_str().expect("an id").to_owned();
    let (path, edit) =
        (format!("/transcript/{transcript}/corrections"), json!({"version": 0, "from": 0, "to": 1, "text": "Ahoy"}));
    assert_eq!(world.with_token(Method::POST, &path, &token, &edit).await.status, 200);
    assert_eq!(world.get(&path).await.json()["corrections"][0]["by"], "token Ada's script");

    let by = |call: &Value, state: &str| {
        let happened = call["timeline"].as_array().expect("events").iter().find(|event| event["state"] == state);
        happened.unwrap_or_else(|| panic!("no event {state}"))["by"].clone()
    };
    let shown = world.call(&call).await;
    for state in ["dialing", "speakers-named"] {
        assert_eq!(by(&shown, state), "token Ada's script", "{state}");
    }
    // What Twilio reports, nobody has asked for.
    assert_eq!(by(&shown, "completed"), Value::Null);
    let page = world.get_with(&format!("/calls/{call}"), &[("accept", "text/html")]).await.text();
    assert!(page.contains("by token Ada&#39;s script"), "{page}");
    let other = world.dial("14155551235").await;
    assert_eq!(by(&world.call(&other).await, "dialing"), "this computer");
}

#[tokio::test]
async fn a_token_has_a_name_of_its_own_and_rights() {
    let world = World::new().await;
    for (body, named) in [
        (json!({"name": "", "rights": ["read"]}), "name: "),
        (json!({"name": "x", "rights": []}), "rights: "),
        (json!({"name": "x", "rights": ["write"]}), "rights: "),
        (json!({"name": "x", "rights": ["read"], "id": 1}), "id"),
    ] {
        let why = world.post_json("/tokens", &body).await.problem(400, "bad-request");
        assert!(why.contains(named), "{why}");
    }
    world.token("x", &["read"]).await;
    world.post_json("/tokens", &json!({"name": "x", "rights": ["edit"]})).await.problem(409, "same-token");
    let form = world.post_form("/tokens", "name=y&rights=read%2Cedit").await;
    assert_eq!((form.status, &form.json()["rights"]), (StatusCode::CREATED, &json!(["read", "edit"])));

    let html = [("accept", "text/html"), ("content-type", "application/x-www-form-urlencoded")];
    let page = world.send(Method::POST, "/tokens", &html, "name=z&rights=read&rights=dial").await;
    assert!(page.text().contains("<code>callscribe_") && page.text().contains("read, dial"), "{}", page.text());
    let page = world.send(Method::POST, "/tokens", &html, "name=z&rights=edit").await.text();
    assert!(page.contains("There is a token of this name") && page.contains("value=\"z\""), "{page}");
    assert!(page.contains("value=\"edit\" checked") && !page.contains("value=\"read\" checked"), "{page}");
    for number in 3..100 {
        world.token(&number.to_string(), &["read"]).await;
    }
    world.post_json("/tokens", &json!({"name": "100", "rights": ["read"]})).await.problem(409, "too-many-tokens");
}
