//! `/mcp`: what agents find through the Model Context Protocol, with its official client and by hand.

use std::io::Write as _;
use std::process::{Command, Stdio};

use callscribe::sandbox::twilio::SeededCall;
use reqwest::Method;
use serde_json::{Value, json};

use crate::search::{WORD_MS, said_to};
use crate::support::{Answer, World};
use crate::vendor_clients::test_python;

/// Words in one answer of `get_transcript` at most.
const MOST_WORDS: usize = 1_500;

const HEADERS: [(&str, &str); 2] =
    [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];

/// Has the official client take these steps. `None` if there is no Python that has it.
async fn client(url: &str, mode: &str, steps: &[(&str, Value)]) -> Option<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/agent.py");
    let mut command = Command::new(test_python()?);
    command.arg(script).env("NO_PROXY", "*").env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUTF8", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let asked = json!({"url": format!("{url}/mcp"), "mode": mode, "steps": steps}).to_string();
    let run = move || {
        let mut child = command.spawn().expect("CALLSCRIBE_TEST_PYTHON starts");
        child.stdin.take().expect("a pipe").write_all(asked.as_bytes()).expect("it reads");
        child.wait_with_output().expect("it ends")
    };
    let output = tokio::task::spawn_blocking(run).await.expect("no panic");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// Sends one request of the protocol.
async fn send(world: &World, more: &[(&str, &str)], method: &str, params: Value) -> Answer {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    world.send(Method::POST, "/mcp", &[&HEADERS[..], more].concat(), &body).await
}

/// Uses a tool. Returns its result.
async fn call(world: &World, tool: &str, arguments: Value) -> Value {
    let answer = send(world, &[], "tools/call", json!({"name": tool, "arguments": arguments})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["result"].take()
}

/// Uses a tool that answers. Returns what it answers.
async fn found(world: &World, tool: &str, arguments: Value) -> Value {
    let mut result = call(world, tool, arguments).await;
    assert_eq!(result["isError"], false, "{result}");
    result["structuredContent"].take()
}

/// Uses a tool that fails. Returns its sentence.
async fn refused(world: &World, tool: &str, arguments: Value) -> String {
    let result = call(world, tool, arguments).await;
    assert_eq!(result["isError"], true, "{result}");
    result["content"][0]["text"].as_str().expect("a sentence").to_owned()
}

/// A question, the tool's arguments with which an agent would ask it, and what answers it: which of the special calls, and the words
/// that are said there.
struct Question {
    asked: &'static str,
    arguments: Value,
    call: usize,
    words: &'static str,
}

/// What is said in the special calls: several say the same word, some the same words in another order.
const SAID: [(&str, &str); 20] = [
    ("14155560001", "Hello this is the pharmacy and we have changed her tacrolimus to two milligrams in the morning"),
    ("14155560002", "Good day the level of tacrolimus was nine so please do not change anything before Friday"),
    ("14155560003", "I am calling because I forgot my tacrolimus at home and I am on the train to Hamburg"),
    ("14155560004", "Your invoice number is four four seven one and it was paid on the third of May"),
    ("14155560005", "About invoice four four seven two I have to say that it was never delivered to us"),
    ("14155560006", "The replica of the database fell behind and we turned the failover off at ten past two"),
    ("14155560007", "The failover worked and the replica is the primary now so go back to sleep please"),
    ("14155560008", "We accept the settlement of twelve thousand dollars if it is signed before the end of the month"),
    ("14155560009", "My client refuses the settlement and wants to see the deposition of Doctor Okonkwo first"),
    ("14155560010", "Could you move my appointment from Monday at nine to Wednesday at eleven thank you very much"),
    ("14155560011", "This is the garage your car is ready and the gearbox was replaced under warranty"),
    (
        "14155560012",
        "The warranty on the boiler ended last winter so the repair costs three hundred and twenty dollars",
    ),
    ("14155560013", "Please tell Ferreira that the keys are with the neighbor in the blue house across the street"),
    ("14155560014", "The blue parcel is at the post office and you need your passport to fetch it"),
    ("14155560015", "Her new address is nineteen Juniper Lane and the code of the gate is seven seven zero two"),
    ("14155560016", "I would like to cancel the order of forty chairs because the hall has some already"),
    ("14155560017", "The order of forty tables comes on Thursday between eight and ten in the morning"),
    ("14155560018", "We offer you the position as a welder and you can begin on the first of August"),
    ("14155560019", "The violin is repaired and the bow has new hair so you can play on Saturday"),
    ("14155560020", "Our flight was canceled and we arrive in Lisbon one day later than we told you"),
];

fn questions() -> Vec<Question> {
    let ask = |asked, arguments, call: usize, words| Question { asked, arguments, call: call - 1, words };
    vec![
        ask(
            "What dose does the pharmacy name?",
            json!({"q": "pharmacy tacrolimus"}),
            1,
            "tacrolimus to two milligrams",
        ),
        ask("What was the tacrolimus level?", json!({"q": "\"level of tacrolimus\""}), 2, "tacrolimus was nine"),
        ask("Who forgot a medicine?", json!({"q": "forgot tacrolimus"}), 3, "forgot my tacrolimus at home"),
        ask("What did 0003 say of tacrolimus?", json!({"q": "tacrolimus", "number": "60003"}), 3, "tacrolimus at home"),
        ask("When was invoice 4471 paid?", json!({"q": "\"four four seven one\""}), 4, "paid on the third of May"),
        ask("Which invoice was not delivered?", json!({"q": "invoice delivered"}), 5, "never delivered to us"),
        ask("When was the failover turned off?", json!({"q": "\"failover off\""}), 6, "failover off at ten past two"),
        ask("Which is the primary?", json!({"q": "replica primary"}), 7, "the replica is the primary"),
        ask("How much is the settlement?", json!({"q": "settle* dollars"}), 8, "settlement of twelve thousand dollars"),
        ask("Who is deposed?", json!({"q": "deposition"}), 9, "deposition of Doctor Okonkwo"),
        ask("When is the new appointment?", json!({"q": "appointment wednesday"}), 10, "Wednesday at eleven"),
        ask("What was replaced under warranty?", json!({"q": "\"under warranty\""}), 11, "gearbox was replaced"),
        ask(
            "What costs the boiler?",
            json!({"q": "boiler", "contact": "Ada Byron"}),
            12,
            "three hundred and twenty dollars",
        ),
        ask("Where are the keys?", json!({"q": "keys ferreira"}), 13, "neighbor in the blue house"),
        ask("What is needed for the parcel?", json!({"q": "blue passport"}), 14, "need your passport"),
        ask("What is the code of the gate?", json!({"q": "\"code of the gate\""}), 15, "seven seven zero two"),
        ask(
            "Which order is canceled?",
            json!({"q": "order forty", "tag": "hall"}),
            16,
            "cancel the order of forty chairs",
        ),
        ask("When do the tables come?", json!({"q": "\"forty tables\""}), 17, "comes on Thursday"),
        ask("When can the welder begin?", json!({"q": "welder"}), 18, "first of August"),
        ask("Where do they arrive?", json!({"q": "arrive lisbon"}), 20, "arrive in Lisbon one day later"),
    ]
}

/// The place of the first word in a text that a query finds: the first of a phrase, or of any of its words.
fn first_match(text: &str, query: &str) -> usize {
    let text = text.to_lowercase();
    if query.starts_with('"') {
        return place(&text, query.trim_matches('"'));
    }
    let is_found = |word: &str| {
        query.split(' ').any(|asked| asked.strip_suffix('*').map_or(word == asked, |begin| word.starts_with(begin)))
    };
    text.split(' ').position(is_found).expect("a word of the query")
}

/// The place of these words in a text.
fn place(text: &str, words: &str) -> usize {
    let all: Vec<&str> = text.split(' ').collect();
    let wanted: Vec<&str> = words.split(' ').collect();
    all.windows(wanted.len()).position(|some| some == wanted).unwrap_or_else(|| panic!("{words:?} in {text:?}"))
}

/// Stores this many calls with a transcript each, as the program stores them, in the hours around the special ones. Each has a word
/// that questions ask for, among others, but never all that one asks for. The next program to start indexes them.
async fn fill(world: &World, calls: i64) {
    const BAIT: [&str; 14] = [
        "tacrolimus",
        "invoice",
        "replica",
        "failover",
        "settlement",
        "appointment",
        "warranty",
        "boiler",
        "keys",
        "blue",
        "code",
        "order",
        "forty",
        "arrive",
    ];
    const OTHERS: [&str; 13] =
        ["hello", "about", "your", "letter", "from", "last", "week", "please", "call", "me", "back", "after", "lunch"];
    let (mut rows, mut recordings, mut transcripts) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..calls {
        let at = world.clock.now_ms() + (number - calls / 2) * 60_000;
        let id = format!("{at:016x}{number:016x}");
        let mut said: Vec<&str> =
            (0..20).map(|place| OTHERS[(number * 7 + place * 5) as usize % OTHERS.len()]).collect();
        said[(number % 20) as usize] = BAIT[number as usize % BAIT.len()];
        let text = said.join(" ");
        rows.push(format!("('{id}', 'CA{id}', 'outbound', '+1415557{number:04}', '+15005550006', '[]', 'completed', 6, 0, {at}, {at}, {at}, {at}, 'message')"));
        recordings.push(format!("('RE{id}', '{id}', 'completed', 2, 8, 1, {at}, {at})"));
        transcripts
            .push(format!("('{id}', '{id}', 'RE{id}', '', '{{}}', '{id}', 'completed', 4, 1, '{text}', {at}, {at})"));
    }
    let [rows, recordings, transcripts] = [rows, recordings, transcripts].map(|rows| rows.join(", "));
    let (first, each) = if world.store.is_postgres() {
        (1, "string_to_table(text, ' ') WITH ORDINALITY AS each (value, key)")
    } else {
        (0, "json_each('[\"' || replace(text, ' ', '\",\"') || '\"]')")
    };
    let sql = format!(
        "INSERT INTO calls (id, sid, direction, to_number, from_number, keyterms, state, rank, holds_number, created_at, ended_at,
             updated_at, dialled_at, kind) VALUES {rows};
         INSERT INTO recordings (sid, call_id, state, rank, duration_seconds, channels, created_at, updated_at) VALUES {recordings};
         INSERT INTO transcripts (id, transcript_id, recording_sid, audio, parameters, request_key, state, rank, round, text, created_at,
             updated_at) VALUES {transcripts};
         INSERT INTO words (transcript, position, word, start_ms, end_ms, confidence)
             SELECT transcripts.id, key - {first}, value, (key - {first}) * 400, (key - {first}) * 400 + 300, 0.9
             FROM transcripts, {each} WHERE request_key = transcript_id;
         INSERT INTO unsearched (transcript) SELECT id FROM transcripts WHERE request_key = transcript_id"
    );
    world.store.execute(&sql).await.expect("rows");
}

#[tokio::test]
async fn an_agent_answers_twenty_questions_over_a_thousand_calls_with_the_right_call_and_moment() {
    if test_python().is_none() {
        return;
    }
    let world = World::new().await;
    let contact = json!({"name": "Ada Byron"});
    assert!(
        world
            .send(Method::PUT, "/contacts/+14155560012", &HEADERS[..1], &contact.to_string())
            .await
            .status
            .is_success()
    );
    let mut special = Vec::new();
    for (number, text) in SAID {
        special.push(said_to(&world, number, text).await.0);
    }
    let id = world.call(&special[15]).await["id"].as_str().expect("an id").to_owned();
    assert_eq!(world.post_json(&format!("/items/{id}"), &json!({"tag": "hall"})).await.status, 200);
    fill(&world, 980).await;
    let (_app, url) = world.another_app_with_url(&[]).await;

    let questions = questions();
    assert_eq!(questions.len(), 20);
    let steps: Vec<_> = questions.iter().map(|question| ("search_calls", question.arguments.clone())).collect();
    let searched = client(&url, "auto", &steps).await.expect("a client");
    assert_eq!(searched["protocol"], "2026-07-28");
    let mut reads = Vec::new();
    for (question, answer) in questions.iter().zip(searched["answers"].as_array().expect("answers")) {
        let calls = answer["json"]["calls"].as_array().unwrap_or_else(|| panic!("{}: {answer}", question.asked));
        assert_eq!(calls.len(), 1, "{}: {answer}", question.asked);
        assert_eq!(calls[0]["sid"], special[question.call], "{}", question.asked);
        let at = calls[0]["at_ms"].as_i64().expect("a moment");
        let query = question.arguments["q"].as_str().expect("a query");
        assert_eq!(at, (first_match(SAID[question.call].1, query) * WORD_MS) as i64, "{}", question.asked);
        let (from, to) = (at as f64 / 1_000.0, (at as f64 + 8_000.0) / 1_000.0);
        reads.push(("get_transcript", json!({"id": calls[0]["transcript_id"], "from": from, "to": to})));
    }
    let read = client(&url, "legacy", &reads).await.expect("a client");
    assert_eq!(read["protocol"], "2025-11-25");
    for (question, answer) in questions.iter().zip(read["answers"].as_array().expect("answers")) {
        let passages = answer["json"]["passages"].as_array().expect("passages");
        let said =
            passages.iter().find(|passage| passage["text"].as_str().is_some_and(|text| text.contains(question.words)));
        let said = said.unwrap_or_else(|| panic!("{}: {answer}", question.asked));
        let begins = said["start_ms"].as_i64().expect("a time");
        let ends = said["end_ms"].as_i64().expect("a time");
        let at = (place(SAID[question.call].1, question.words) * WORD_MS) as i64;
        assert!((begins..ends).contains(&at), "{}: {answer}", question.asked);
    }
}

#[tokio::test]
async fn each_tool_tells_what_its_route_does() {
    let world = World::new().await;
    let (sid, _) = said_to(&world, "14155551234", "The contract is ready and we sign the contract on Monday").await;
    said_to(&world, "14155551235", "Nobody said anything about a signature").await;
    let hits = found(&world, "search_calls", json!({"q": "contract"})).await;
    let [hit] = &hits["calls"].as_array().expect("calls")[..] else { panic!("{hits}") };
    assert_eq!((&hit["sid"], &hit["at_ms"], &hit["at"]), (&json!(sid), &json!(WORD_MS), &json!("0:00")));
    assert_eq!(hit["snippet"], "The **contract** is ready and we sign the **contract** on Monday");

    let listed = found(&world, "list_calls", json!({"number": "1234", "progress": "done"})).await;
    let items = world.get("/items?number=1234&progress=done").await.json();
    assert_eq!(listed["calls"].as_array().map(Vec::len), Some(1));
    assert_eq!(listed["calls"][0]["id"], items["items"][0]["id"]);
    let page = found(&world, "list_calls", json!({"limit": 1})).await;
    let rest = found(&world, "list_calls", json!({"limit": 1, "cursor": page["next"]})).await;
    assert_eq!(rest["calls"][0]["sid"], sid);

    let told = found(&world, "get_call", json!({"id": sid})).await;
    assert_eq!(told["transcripts"][0]["id"], hit["transcript_id"]);
    assert_eq!(told["transcripts"][0]["words"], 11);
    let read = found(&world, "get_transcript", json!({"id": hit["transcript_id"]})).await;
    assert_eq!(read["passages"][0]["positions"], json!([[0, 11]]));
    assert_eq!((&read["state"], &read["next"]), (&json!("completed"), &Value::Null));
    let later = found(&world, "get_transcript", json!({"id": hit["transcript_id"], "from": 60})).await;
    assert_eq!(later["passages"], json!([]));
    let accuracy = found(&world, "get_accuracy", json!({"by": "model"})).await;
    assert_eq!(accuracy["groups"], world.get("/accuracy?by=model").await.json()["groups"]);

    // A name is found, which nobody says at any moment, and a call of which only Twilio knows.
    let contact = json!({"name": "Quillfeather"});
    let put = world.send(Method::PUT, "/contacts/+14155551234", &HEADERS[..1], &contact.to_string()).await;
    assert!(put.status.is_success());
    let elsewhere = world.twilio.add_call(SeededCall::default());
    let steps = [
        ("get_call", json!({"id": sid})),
        ("get_accuracy", json!({})),
        ("search_calls", json!({"q": "Quillfeather"})),
        ("get_call", json!({"id": elsewhere})),
    ];
    let Some(seen) = client(&world.base, "auto", &steps).await else { return };
    assert_eq!(seen["answers"][2]["json"]["calls"][0]["at"], Value::Null, "{seen}");
    let tools = ["search_calls", "list_calls", "get_call", "get_transcript", "get_accuracy"];
    assert_eq!(seen["tools"], json!(tools.map(|name| (name, true))));
    assert!(seen["answers"].as_array().expect("answers").iter().all(|answer| answer["error"] == false), "{seen}");
}

#[tokio::test]
async fn a_long_transcript_comes_in_parts_with_nothing_left_out_or_said_twice() {
    let world = World::new().await;
    // Nobody ends a sentence in it.
    let text = (0..4_000).map(|number| format!("w{number}")).collect::<Vec<_>>().join(" ");
    let (sid, _) = said_to(&world, "14155551234", &text).await;
    let id = found(&world, "get_call", json!({"id": sid})).await["transcripts"][0]["id"].clone();
    let (mut parts, mut cursor) = (Vec::new(), json!(null));
    loop {
        let part = found(&world, "get_transcript", json!({"id": id, "cursor": cursor})).await;
        let said =
            part["passages"].as_array().expect("passages").iter().map(|one| one["text"].as_str().expect("a text"));
        let said = said.collect::<Vec<_>>().join(" ");
        assert!(said.split(' ').count() <= MOST_WORDS);
        parts.push(said);
        cursor = part["next"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!((parts.len(), parts.join(" ")), (3, text));
    let many = found(&world, "list_calls", json!({"limit": 100_000})).await;
    assert_eq!(many["calls"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_refusal_is_a_sentence_that_the_agent_reads() {
    let world = World::new().await;
    for (tool, arguments, sentence) in [
        ("list_calls", json!({"progress": "over"}), "progress: expected one of calling"),
        ("list_calls", json!({"weight": "red"}), "there is no argument \"weight\" here"),
        ("search_calls", json!({}), "the argument \"q\" is missing"),
        ("get_call", json!({"id": "CA00000000000000000000000000000000"}), "not found at Twilio"),
        ("get_call", json!({"id": "../../cost"}), "Invalid request"),
        ("get_transcript", json!({"id": "00000000-0000-0000-0000-000000000000"}), "ot found"),
        ("get_transcript", json!({"id": "x", "from": "now"}), "a transcript id"),
        ("get_transcript", json!({"id": "00000000-0000-0000-0000-000000000000", "from": -1}), "from: expected seconds"),
        ("get_accuracy", json!({"by": "moon"}), "by: "),
        ("get_call", json!({"id": 5}), "id: expected a text"),
        (
            "get_transcript",
            json!({"id": "00000000-0000-0000-0000-000000000000", "cursor": 12}),
            "cursor: expected a text",
        ),
    ] {
        let said = refused(&world, tool, arguments.clone()).await;
        assert!(said.contains(sentence), "{tool} {arguments}: {said}");
    }
    let unknown = send(&world, &[], "tools/call", json!({"name": "delete_everything", "arguments": {}})).await;
    assert_eq!(unknown.json()["error"]["code"], -32602);
}

#[tokio::test]
async fn an_agent_is_let_in_by_the_rules_of_every_other_route() {
    let token = "a-long-operator-token-for-tests";
    let world = World::with(&[("OPERATOR_TOKEN", token)]).await;
    let list = async |headers: &[(&str, &str)]| send(&world, headers, "tools/list", json!({})).await;
    assert_eq!(list(&[]).await.json()["result"]["tools"].as_array().map(Vec::len), Some(5));
    let from_elsewhere = [("x-forwarded-for", "203.0.113.7")];
    assert_eq!(list(&from_elsewhere).await.status, 401);
    let bearer = format!("Bearer {token}");
    // By whatever name, which the access rules know and the protocol's crate does not.
    let named = [("host", "calls.example.com"), ("authorization", bearer.as_str())];
    assert_eq!(list(&named).await.status, 200);
    let by_another_site = [("origin", "https://evil.example")];
    assert_eq!(list(&by_another_site).await.status, 403);
    for method in [Method::GET, Method::DELETE] {
        let answer = world.send(method.clone(), "/mcp", &HEADERS, "").await;
        assert_eq!(answer.status, 405, "{method}: no stream is held open, and there are no sessions");
    }
    let long = json!({"name": "list_calls", "arguments": {"tag": "x".repeat(300_000)}});
    assert_eq!(send(&world, &[], "tools/call", long).await.status, 413);
}

/// Makes a token with these rights. Returns its id and the header that has it.
async fn token(world: &World, name: &str, rights: &[&str]) -> (String, String) {
    let made = world.post_json("/tokens", &json!({"name": name, "rights": rights})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    (text("id"), format!("Bearer {}", text("token")))
}

/// Uses a tool with a token. Returns its result.
async fn call_with(world: &World, bearer: &str, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    send(world, &[("authorization", bearer)], "tools/call", params).await.json()["result"].take()
}

#[tokio::test]
async fn an_agent_edits_and_dials_only_with_a_token_that_may() {
    let world = World::new().await;
    let (sid, _) = said_to(&world, "14155551234", "She takes a tackle of mouse every morning").await;
    let id = found(&world, "get_call", json!({"id": sid})).await["transcripts"][0]["id"].clone();
    let (_, reader) = token(&world, "reader", &["read"]).await;
    let (_, editor) = token(&world, "editor", &["read", "edit"]).await;
    let (dialer_id, dialer) = token(&world, "dialer", &["read", "dial"]).await;
    let correction = json!({"id": id, "version": 0, "from": 3, "to": 6, "text": "tacrolimus"});
    let term = json!({"term": "tacrolimus"});
    let number = json!({"to": "+14155551235", "key": "first"});
    let uses = [("correct_transcript", &correction), ("add_term", &term), ("dial", &number)];
    for (bearer, may, why) in [
        (&reader, &[][..], "the token \"reader\" lacks the right"),
        (&editor, &["correct_transcript", "add_term"], "the token \"editor\" lacks the right dial"),
        (&dialer, &["dial"], "the token \"dialer\" lacks the right edit"),
        // This computer alone.
        (&String::new(), &[], "needs a named token with the right"),
    ] {
        let headers = [("authorization", bearer.as_str())];
        let headers = if bearer.is_empty() { &[][..] } else { &headers };
        let listed = send(&world, headers, "tools/list", json!({})).await.json()["result"]["tools"].take();
        for (tool, arguments) in uses {
            let is_listed = listed.as_array().expect("tools").iter().any(|listed| listed["name"] == tool);
            assert_eq!(is_listed, may.contains(&tool), "{tool} {why}");
            if !may.contains(&tool) {
                let params = json!({"name": tool, "arguments": arguments});
                let result = send(&world, headers, "tools/call", params).await.json()["result"].take();
                assert_eq!(result["isError"], true, "{tool}: {result}");
                assert!(
                    result["content"][0]["text"].as_str().is_some_and(|text| text.contains(why)),
                    "{tool}: {result}"
                );
            }
        }
    }
    assert_eq!(world.calls_placed(), 1);

    let corrected = call_with(&world, &editor, "correct_transcript", correction.clone()).await;
    assert_eq!(corrected["structuredContent"]["version"], 1, "{corrected}");
    let read = found(&world, "get_transcript", json!({"id": id})).await;
    assert_eq!(read["passages"][0]["text"], "She takes a tacrolimus every morning");
    let path = format!("/transcript/{}/corrections", id.as_str().expect("an id"));
    assert_eq!(world.get(&path).await.json()["corrections"][0]["by"], "token editor");
    let added = call_with(&world, &editor, "add_term", term.clone()).await;
    assert_eq!(added["structuredContent"]["term"], "tacrolimus", "{added}");

    let dialed = call_with(&world, &dialer, "dial", number.clone()).await;
    let again = call_with(&world, &dialer, "dial", number.clone()).await;
    assert_eq!(dialed["structuredContent"]["to"], "+14155551235", "{dialed}");
    assert_eq!(again["structuredContent"]["id"], dialed["structuredContent"]["id"]);
    assert_eq!(world.calls_placed(), 2);
    for key in [json!(12_345), json!(" "), json!("größe")] {
        let refused = call_with(&world, &dialer, "dial", json!({"to": "+14155551236", "key": key})).await;
        let why = refused["content"][0]["text"].as_str().expect("a sentence");
        assert!(refused["isError"] == true && why.starts_with("key: expected"), "{refused}");
    }
    assert_eq!(world.calls_placed(), 2);
    let both = json!({"term": "Ahoy", "contact": "+14155551234", "tag": "orders"});
    assert_eq!(call_with(&world, &editor, "add_term", both).await["isError"], true);
    let of_tag = json!({"term": "Ahoy", "contact": null, "tag": "orders"});
    let added = call_with(&world, &editor, "add_term", of_tag).await;
    assert_eq!(added["structuredContent"]["scope"], json!({"tag": "orders"}), "{added}");
    let premium = call_with(&world, &dialer, "dial", json!({"to": "+19005550000"})).await;
    assert_eq!(premium["isError"], true, "{premium}");

    assert_eq!(world.send(Method::DELETE, &format!("/tokens/{dialer_id}"), &[], "").await.status, 204);
    assert_eq!(send(&world, &[("authorization", &dialer)], "tools/list", json!({})).await.status, 401);
}
