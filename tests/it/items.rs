//! `/items`: calls and uploads in one list, what filters find, and the end of an upload.

use std::time::Duration;

use callscribe::sandbox::speech;
use callscribe::sandbox::twilio::{Outcome, PHONE_NUMBER};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, World, assert_happened, log, refuse};

const HTML: (&str, &str) = ("accept", "text/html");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Sends a file with these fields beside it.
pub(crate) async fn upload(world: &World, name: &str, bytes: &[u8], fields: &[(&str, &str)]) -> Answer {
    world.clock.advance(Duration::from_secs(1));
    let mut form = Vec::new();
    for (field, text) in fields {
        form.extend(format!("--limit\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{text}\r\n").bytes());
    }
    let head = format!("--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
    form.extend([head.as_bytes(), bytes, b"\r\n--limit--\r\n"].concat());
    let request = world.http.post(format!("{}/transcribe", world.base));
    let request = request.header("content-type", "multipart/form-data; boundary=limit");
    Answer::of(request.body(form).send().await.expect("an answer")).await
}

async fn items(world: &World, query: &str) -> Vec<Value> {
    let answer = world.get(&format!("/items{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["items"].as_array().expect("a list of items").clone()
}

fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn an_upload_is_in_the_list_with_its_title_and_goes_completely() {
    let world = World::new().await;
    let call = world.dial("14155551234").await;
    world.settle().await;
    assert_eq!(upload(&world, "Visit (3).wav", speech::WAV, &[("title", "Rounds of May 3")]).await.status, 200);
    world.settle().await;

    let listed = items(&world, "").await;
    assert_eq!((&listed[0]["kind"], &listed[1]["kind"]), (&json!("upload"), &json!("call")), "{listed:#?}");
    assert_eq!((&listed[1]["sid"], &listed[1]["call_kind"]), (&json!(call), &json!("message")));
    let upload_item = &listed[0];
    assert_eq!(
        [&upload_item["title"], &upload_item["file_name"], &upload_item["progress"]],
        [&json!("Rounds of May 3"), &json!("Visit (3).wav"), &json!("done")]
    );
    assert_eq!(upload_item["duration_seconds"], listed[1]["duration_seconds"]);
    assert!(upload_item["words"].as_str().is_some_and(|words| !words.is_empty()));
    let calls = world.get("/calls").await.json()["calls"].as_array().expect("a list").clone();
    assert_eq!(ids(&calls), [listed[1]["id"].as_str().expect("an id")]);

    let id = upload_item["id"].as_str().expect("an id");
    let path = format!("/items/{id}");
    let shown = world.get(&path).await.json();
    assert_eq!(shown["kind"], "upload");
    assert_eq!(world.get(&format!("/items/{call}")).await.json()["call_kind"], "message");
    let (recording, transcript) = (&shown["recordings"][0], &shown["transcripts"][0]);
    assert_eq!((&recording["audio"], &recording["url"]), (&Value::Null, &Value::Null));
    let sid = recording["sid"].as_str().expect("an id");
    world.get(&format!("/recordings/{sid}.wav")).await.problem(404, "audio-not-kept");
    let page = world.get_with(&path, &[HTML]).await.text();
    assert!(page.contains("<h1 id=\"who\" data-live><bdi>Rounds of May 3</bdi>") && !page.contains("<audio"), "{page}");
    let transcript_page = format!("/transcript/{}?format=html", transcript["id"].as_str().expect("an id"));
    assert_eq!(world.get_with(&transcript_page, &[HTML]).await.header("location"), path);

    let renamed = world.post_json(&path, &json!({"title": "Rounds"})).await;
    assert_eq!((renamed.status.as_u16(), &renamed.json()["title"]), (200, &json!("Rounds")));
    let renamed = world.send(Method::POST, &path, &[HTML, FORM], "title=Morning+rounds").await;
    assert_eq!((renamed.status.as_u16(), renamed.header("location")), (303, &*path));
    let list = world.get_with("/items", &[HTML]).await.text();
    let row = "Upload<span class=\"unseen\">:</span></span> <bdi>Morning rounds</bdi> <span class=\"quiet\"><bdi>Visit (3).wav<";
    assert!(list.contains(row) && list.contains("New calls and uploads appear here."), "{list}");
    for (query, expected) in [("kind=upload&sort=oldest", "Morning rounds"), ("progress=failed", "Nothing matches")] {
        let list = world.get_with(&format!("/items?{query}"), &[HTML]).await.text();
        assert!(list.contains(expected) && !list.contains("New calls and uploads appear here."), "{list}");
        assert_eq!(list.contains("What is new and matches appears here."), query == "progress=failed", "{list}");
        // What is shown is exported.
        let link = format!("<a href=\"/export?{}&#38;format=csv\" download>", query.replace('&', "&#38;"));
        assert_eq!(list.contains(&link), query != "progress=failed", "{link}: {list}");
    }
    // An export is in no order that changes meanwhile.
    let list = world.get_with("/items?kind=upload&sort=longest", &[HTML]).await.text();
    assert!(list.contains("<a href=\"/export?kind=upload&#38;format=csv\" download>"), "{list}");
    for wrong in [json!({"title": 1}), json!({}), json!({"tag": "x".repeat(201)}), json!({"tag": "x", "kind": "y"})] {
        world.post_json(&path, &wrong).await.problem(400, "bad-request");
    }
    let detail = world.get("/items/1").await.problem(400, "bad-request");
    assert!(detail.contains("the name of a call or upload") && detail.contains("call SID"), "{detail}");
    world.post_json(&format!("/items/{call}"), &json!({"title": "x"})).await.problem(400, "bad-request");

    let asked = world.get_with(&format!("{path}/delete"), &[HTML]).await.text();
    assert!(asked.contains("the upload <bdi>Morning rounds</bdi>") && !asked.contains("At Twilio"), "{asked}");
    let before = world.twilio.control.requests().len();
    assert_eq!(world.send(Method::DELETE, &path, &[], "").await.status, 202);
    world.settle().await;
    world.get(&path).await.problem(410, "deleted");
    assert_eq!(items(&world, "").await.len(), 1);
    assert_happened(world.assemblyai.control.requests_to(Method::DELETE, "/v2/transcript/").len(), 1);
    assert_eq!(world.twilio.control.requests().len(), before, "Twilio has nothing of it");
    let kept = "SELECT count(*) FROM calls LEFT JOIN recordings ON call_id = calls.id
                WHERE kind = 'upload' AND coalesce(title, file_name, audio, tag) IS NOT NULL";
    assert_eq!(world.store.number(kept).await, 0);
    assert_eq!(log::lines_with("Rounds of May"), Vec::<String>::new());

    // The same file is a new upload.
    assert_eq!(upload(&world, "again.wav", speech::WAV, &[]).await.status, 200);
    world.settle().await;
    let again = &items(&world, "?kind=upload").await[0];
    assert_eq!((&again["title"], &again["progress"]), (&json!("again"), &json!("done")));
    assert_ne!(again["id"], id);
}

#[tokio::test]
async fn the_same_audio_is_one_upload_whatever_its_name_and_however_often_it_is_transcribed() {
    let world = World::new().await;
    for (name, fields) in [("a.wav", &[][..]), ("b.wav", &[]), ("a.wav", &[("keyterms", "Ahoy")])] {
        assert_eq!(upload(&world, name, speech::WAV, fields).await.status, 200);
        world.settle().await;
    }
    let listed = items(&world, "").await;
    assert_eq!(listed.iter().map(|item| &item["title"]).collect::<Vec<_>>(), ["a"]);
    let shown = world.get(&format!("/items/{}", listed[0]["id"].as_str().expect("an id"))).await.json();
    assert_eq!(shown["transcripts"].as_array().map(Vec::len), Some(2));

    // With other key terms from its page, where AssemblyAI still has it.
    world.clock.advance(Duration::from_secs(1));
    let sid = shown["recordings"][0]["sid"].clone();
    let again = world.post_json("/transcribe", &json!({"recording_sid": sid, "keyterms": ["Friday"]})).await;
    assert_eq!(again.status, 200, "{}", again.text());
    world.settle().await;
    let sent = world.transcript_requests();
    assert_eq!((sent.len(), &sent[2]["audio_url"]), (3, &sent[1]["audio_url"]));

    world.assemblyai.hold();
    for _ in 0..2 {
        let url = json!({"audio_url": "https://example.com/talks/first.mp3"});
        assert_eq!(world.post_json("/transcribe", &url).await.status, 200);
    }
    assert_eq!(world.transcript_requests().len(), 4);
    let listed = items(&world, "").await;
    assert_eq!(listed.iter().map(|item| &item["title"]).collect::<Vec<_>>(), ["first.mp3", "a"]);
    let of_url = world.get(&format!("/items/{}", listed[0]["id"].as_str().expect("an id"))).await.json();
    assert_eq!(of_url["recordings"][0]["url"], "https://example.com/talks/first.mp3");
}

#[tokio::test]
async fn filters_find_calls_and_uploads_by_what_they_are_and_what_became_of_them() {
    let world = World::new().await;
    world.send(Method::POST, "/contacts/+14155551234", &[FORM], "name=Nurse+Okafor").await;
    // Our own number is at the near end of each call.
    world.send(Method::POST, &format!("/contacts/{PHONE_NUMBER}"), &[FORM], "name=Office").await;
    let tagged = world.get("/dial/14155551234?tag=Spring").await.call_sid();
    world.settle().await;
    world.clock.advance(Duration::from_secs(1));
    world.assemblyai.fail_next_transcript("no speech model today");
    let failed = world.dial("14155550000").await;
    world.settle().await;
    assert_eq!(upload(&world, "notes.wav", speech::WAV, &[]).await.status, 200);
    world.settle().await;
    world.assemblyai.fail_next_transcript("no speech model today");
    upload(&world, "broken.wav", b"no audio", &[]).await;
    world.settle().await;

    let all = items(&world, "").await;
    let name = |item: &Value| item["title"].as_str().or(item["sid"].as_str()).expect("a name").to_owned();
    let found = async |query: &str| items(&world, query).await.iter().map(name).collect::<Vec<_>>();
    assert_eq!(all.iter().map(name).collect::<Vec<_>>(), ["broken", "notes", &failed, &tagged]);
    for (query, expected) in [
        ("?kind=upload", &["broken", "notes"][..]),
        ("?kind=call", &[&failed, &tagged]),
        ("?kind=message", &[&failed, &tagged]),
        ("?kind=conversation", &[]),
        ("?progress=failed", &["broken", &failed]),
        ("?progress=failed&kind=call", &[&failed]),
        ("?progress=done&sort=oldest", &[&tagged, "notes"]),
        ("?direction=outbound", &[&failed, &tagged]),
        ("?direction=inbound", &[]),
        ("?tag=Spring", &[&tagged]),
        ("?tag=spring", &[&tagged]),
        ("?tag=springs", &[]),
        ("?contact=okafor", &[&tagged]),
        ("?contact=%2B14155550000", &[&failed]),
        ("?contact=14155550000", &[&failed]),
        ("?contact=nobody", &[]),
        ("?contact=office", &[]),
        ("?state=completed&number=1234", &[&tagged]),
        ("?min_seconds=1", &["notes", &failed, &tagged]),
        ("?min_seconds=3600", &[]),
        ("?max_seconds=3600&kind=upload", &["notes"]),
        ("?checked=false", &["broken", "notes", &failed, &tagged]),
        ("?checked=true", &[]),
        ("?q=notes", &["notes"]),
        ("?q=forty&kind=upload", &["notes"]),
        ("?q=forty&tag=Spring", &[&tagged]),
        ("?q=forty&progress=failed", &[]),
    ] {
        assert_eq!(found(query).await, expected, "{query}");
    }
    // A tag that is written otherwise is the same.
    assert_eq!(upload(&world, "more.wav", &speech::WAV[..20_000], &[("tag", "SPRING")]).await.status, 200);
    world.settle().await;
    assert_eq!(world.get("/tags").await.json(), json!({"tags": ["Spring"], "next": null}));
    let more = items(&world, "?tag=Spring&kind=upload").await;
    assert_eq!((more.len(), &more[0]["tag"]), (1, &json!("Spring")));
    assert_eq!(world.send(Method::DELETE, &format!("/items/{}", ids(&more)[0]), &[], "").await.status, 202);
    world.settle().await;
    let hit = &items(&world, "?q=forty&kind=upload").await[0];
    assert!(hit["at_ms"].is_i64() && hit["snippet"].is_array() && hit["transcript_id"].is_string(), "{hit}");

    // In pages of one, forward and backward, each comes once.
    for sort in ["newest", "oldest"] {
        let (mut cursor, mut seen) = (String::new(), Vec::new());
        loop {
            let page = world.get(&format!("/items?sort={sort}&limit=1&cursor={cursor}")).await.json();
            seen.extend(page["items"].as_array().expect("a list").iter().map(name));
            match page["next"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        let mut expected = found("").await;
        if sort == "oldest" {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
    for (query, words) in [
        ("progress=lost", "progress: expected one of calling, recording"),
        ("kind=fax", "kind: expected one of call, message, conversation, upload"),
        ("direction=up", "direction: expected one of outbound, inbound"),
        ("sort=loudest", "sort: expected one of newest, oldest, longest, shortest, costliest"),
        ("min_cost=-1", "min_cost: expected US dollars"),
        ("max_cost=much", "max_cost: expected US dollars"),
        ("limit=201", "limit: expected 1 to 200"),
        ("limit=0", "limit: expected 1 to 200"),
        ("min_seconds=-1", "min_seconds: expected whole seconds"),
        ("cursor=1", "cursor: expected the `next` of the page before"),
        ("weight=1", "there is no parameter"),
        ("q=a&sort=oldest", "newest first"),
        ("q=a&sort=longest", "newest first"),
        ("state=completed&kind=upload", "state: uploads have none"),
        ("number=%2B", "number: expected a number"),
        ("min_seconds=60&max_seconds=59", "max_seconds: expected at least min_seconds"),
        ("min_cost=1&max_cost=0.5", "max_cost: expected at least min_cost"),
        ("since=2026-11-02&until=2026-11-01", "until: expected a time after since"),
    ] {
        let detail = world.get(&format!("/items?{query}")).await.problem(400, "bad-request");
        assert!(detail.contains(words), "{query}: {detail}");
        world.get(&format!("/items/delete?{query}")).await.problem(400, "bad-request");
        if let Some(field) =
            ["number", "max_seconds", "max_cost", "until"].iter().find(|field| words.starts_with(**field))
        {
            let page = world.get_with(&format!("/items?{query}"), &[HTML]).await;
            assert_eq!(page.status, 400, "{query}");
            let input = format!("<input name=\"{field}\"");
            let (_, input) =
                page.text().split_once(&input).map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a field");
            assert!(input[..input.find('>').expect("an end")].contains("aria-invalid"), "{query}: {input}");
            assert!(page.text().contains(words) && !page.text().contains("Nothing matches"), "{}", page.text());
            assert!(!page.text().contains("class=\"hint\">Calls from"), "it lists none: {}", page.text());
        }
    }
    for (query, expected) in [
        ("since=2000-01-01&until=2000-01-01", 0),
        ("until=1960-01-01", 0),
        ("number=sip:alice@example.com", 0),
        ("number=anonymous", 0),
        ("min_seconds=7&max_seconds=7", 0),
        ("max_cost=7&min_cost=7", 0),
    ] {
        assert_eq!(items(&world, &format!("?{query}")).await.len(), expected, "{query}");
    }
    // What was left empty by mistake would delete all.
    for (query, words) in [
        ("kind=", "kind: expected a value"),
        ("progress=done&tag=+", "tag: expected a value"),
        ("since=&progress=done", "since: expected a value"),
        ("since=2100-01-01", "since: expected a time that has passed"),
    ] {
        let detail = world.get(&format!("/items/delete?{query}")).await.problem(400, "bad-request");
        assert!(detail.contains(words), "{query}: {detail}");
        assert_eq!(world.get(&format!("/items?{query}")).await.status, 200, "{query}");
    }
    // A form sends all its fields.
    let empty = world.get_with("/items?q=&number=&progress=&since=&kind=&tag=&min_seconds=&sort=", &[HTML]).await;
    assert!(empty.status == 200 && empty.text().contains("<bdi>notes</bdi>"), "{}", empty.text());
    let page = world.get_with("/items?progress=failed&kind=upload", &[HTML]).await.text();
    assert!(page.contains("<bdi>broken</bdi>") && !page.contains("<bdi>notes</bdi>"), "{page}");
    assert!(page.contains("<option value=\"upload\" selected>Uploads</option>"), "{page}");
}

#[tokio::test]
async fn a_tag_can_be_given_and_taken_away_later() {
    let world = World::new().await;
    let spring = world.get("/dial/14155550000?tag=Spring").await.call_sid();
    let call = world.dial("14155551234").await;
    world.settle().await;
    assert_eq!(upload(&world, "notes.wav", speech::WAV, &[("title", "Rounds")]).await.status, 200);
    world.settle().await;
    let id = ids(&items(&world, "").await)[0].clone();
    let spring_id = world.call(&spring).await["id"].as_str().expect("an id").to_owned();
    let tagged = world.post_json(&format!("/items/{id}"), &json!({"tag": "SPRING"})).await;
    assert_eq!((tagged.status.as_u16(), tagged.json()), (200, json!({"id": id, "title": "Rounds", "tag": "Spring"})));
    let page = world.get_with(&format!("/calls/{call}"), &[HTML]).await.text();
    let (_, form) = page.split_once("<summary>Tag</summary>").expect("a form");
    let (_, action) = form.split_once("action=\"").expect("an address");
    let action = &action[..action.find('"').expect("an end")];
    assert!(form.contains("<input name=\"tag\" list=\"tags\"") && !page.contains("name=\"title\""), "{page}");
    let sent = world.send(Method::POST, action, &[HTML, FORM], "tag=spring").await;
    assert_eq!((sent.status.as_u16(), sent.header("location")), (303, &*format!("/calls/{call}")));
    let page = world.get_with(&format!("/calls/{call}"), &[HTML]).await.text();
    assert!(page.contains("<p class=\"terms\">Tag: <bdi>Spring</bdi></p>"), "{page}");
    assert_eq!(items(&world, "?tag=spring").await.len(), 3);
    assert_eq!(items(&world, "?q=forty&tag=spring&kind=upload").await.len(), 1);
    let page = world.get_with(&format!("/items/{id}"), &[HTML]).await.text();
    assert!(page.contains("<summary>Title and tag</summary>") && page.contains("value=\"Spring\""), "{page}");

    // Blank, it is taken away; the other field stays as it is.
    let cleared = world.send(Method::POST, &format!("/items/{id}"), &[HTML, FORM], "title=Rounds&tag=+").await;
    assert_eq!(cleared.status, 303, "{}", cleared.text());
    for (path, body) in
        [(format!("/items/{call}"), json!({"tag": null})), (format!("/items/{spring_id}"), json!({"tag": ""}))]
    {
        assert_eq!(world.post_json(&path, &body).await.json()["tag"], Value::Null);
    }
    assert_eq!(items(&world, "?kind=upload").await[0]["title"], "Rounds");
    assert_eq!(items(&world, "?tag=spring").await, Vec::<Value>::new());
    assert_eq!(world.get("/tags").await.json(), json!({"tags": [], "next": null}));
    assert_eq!(world.send(Method::DELETE, &format!("/items/{id}"), &[], "").await.status, 202);
    world.post_json(&format!("/items/{id}"), &json!({"tag": "late"})).await.problem(410, "deleted");
    let nobody = format!("/items/{}", "0".repeat(32));
    world.post_json(&nobody, &json!({"tag": "x"})).await.problem(404, "no-such-call");
}

#[tokio::test]
async fn the_list_says_why_a_call_or_an_upload_has_no_transcript() {
    let world = World::with(&[("BUDGET_PER_DAY", "0")]).await;
    world.twilio.set_next_outcome(Outcome::Busy);
    let busy = world.dial("14155550001").await;
    world.settle().await;
    world.clock.advance(Duration::from_secs(1));
    let over_budget = world.dial("14155550002").await;
    world.settle().await;
    world.assemblyai.fail_next_transcript("no speech model today");
    upload(&world, "broken.wav", b"no audio", &[]).await;
    world.settle().await;
    let reasons = ["no speech model today", "BUDGET_PER_DAY of $0.00 was reached.", "The line was busy."];
    let listed = items(&world, "").await;
    let found: Vec<_> = listed.iter().map(|item| item["reason"].as_str().expect("a reason")).collect();
    assert!(found.iter().zip(reasons).all(|(found, reason)| found.contains(reason)), "{found:?}");
    let calls = world.get("/calls").await.json();
    for (call, name, reason) in [(0, &over_budget, reasons[1]), (1, &busy, reasons[2])] {
        assert_eq!(calls["calls"][call]["reason"], reason);
        assert_eq!(world.call(name).await["reason"], reason);
        let page = world.get_with(&format!("/calls/{name}"), &[HTML]).await.text();
        assert_eq!(page.matches(reason).count(), 1, "{page}");
    }
    let list = world.get_with("/items", &[HTML]).await.text();
    for (reason, id) in found.iter().zip(ids(&listed)) {
        assert!(list.contains(&format!("<span class=\"words\" dir=\"auto\">{reason}</span>")), "{list}");
        let page = world.get_with(&format!("/items/{id}"), &[HTML]).await.text();
        assert!(page.contains(*reason), "{reason}: {page}");
    }
    // Retried, it has no reason any more.
    let path = format!("/items/{}", ids(&listed)[0]);
    assert_eq!(
        world.send(Method::POST, &format!("{}/retry", path.replace("items", "calls")), &[], "").await.status,
        200
    );
    assert_eq!(items(&world, "").await[0]["reason"], Value::Null);
}

#[tokio::test]
async fn rows_show_what_calls_cost_where_the_list_goes_by_it() {
    let world = World::new().await;
    world.dial("14155551234").await;
    world.settle().await;
    let cost = items(&world, "").await[0]["cost_usd"].as_f64().expect("a cost");
    let shown = format!("${cost:.4}</span>");
    for (query, is_shown) in [
        ("", false),
        ("?sort=longest", false),
        ("?sort=costliest", true),
        ("?min_cost=0", true),
        ("?max_cost=5", true),
        ("?q=forty", false),
        ("?q=forty&max_cost=5", true),
    ] {
        let page = world.get_with(&format!("/items{query}"), &[HTML]).await.text();
        assert_eq!(page.matches(&shown).count(), usize::from(is_shown), "{query}: {page}");
    }
}

#[tokio::test]
async fn a_tag_is_found_in_any_case_however_many_there_are() {
    let world = World::new().await;
    world.get("/dial/14155551234?tag=%C3%9Cbung").await.call_sid();
    world.settle().await;
    // All of them come before that one.
    let more = "INSERT INTO calls (id, direction, kind, keyterms, state, rank, holds_number, created_at, updated_at, tag)
                WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2100)
                SELECT '000000000000000000000000000' || CAST(10000 + n AS text), 'outbound', 'message', '[]', 'busy', 9, 0, n, n,
                'tag ' || CAST(n AS text) FROM numbers";
    world.store.execute(more).await.expect("calls");
    for tag in ["%C3%BCbung", "%C3%9CBUNG", "%C3%9Cbung"] {
        assert_eq!(items(&world, &format!("?tag={tag}")).await[0]["tag"], "Übung", "{tag}");
    }
    assert_eq!(items(&world, "?tag=TAG+2100").await.len(), 1);
    let tags = world.get("/tags").await.json()["tags"].as_array().map(Vec::len);
    assert_eq!(tags, Some(1_000));
}

#[tokio::test]
async fn all_that_match_a_filter_are_deleted_and_nothing_else() {
    let world = World::new().await;
    world.assemblyai.fail_next_transcript("no speech model today");
    let failed = world.dial("14155550000").await;
    world.settle().await;
    world.assemblyai.fail_next_transcript("no speech model today");
    upload(&world, "broken.wav", b"no audio", &[]).await;
    assert_eq!(upload(&world, "notes.wav", speech::WAV, &[]).await.status, 200);
    world.settle().await;
    for query in [
        "",
        "?limit=5",
        "?q=forty",
        "?progress=lost",
        "?until=yesterday",
        "?tag=Spring&until=2026-13-01",
        "?until=2999-01-01",
        "?kind=upload&limit=1",
        "?kind=upload&sort=oldest",
    ] {
        for method in [Method::GET, Method::POST] {
            world.send(method, &format!("/items/delete{query}"), &[], "").await.problem(400, "bad-request");
        }
    }
    let asked = world.get("/items/delete?progress=failed").await.json();
    assert_eq!(asked["here"], json!({"calls": 1, "uploads": 1, "recordings": 2, "transcripts": 2}));
    assert_eq!((&asked["twilio"], &asked["left"]), (&json!({"calls": 1, "recordings": 1}), &json!([])));
    let list = world.get_with("/items?progress=failed", &[HTML]).await.text();
    assert!(list.contains("href=\"/items/delete?progress=failed\""), "{list}");
    let page = world.get_with("/items/delete?progress=failed", &[HTML]).await.text();
    assert!(page.contains("<h1>Delete 1 call and 1 upload?</h1>"), "{page}");
    assert!(page.contains("<p>All with the progress <strong><bdi>Failed</bdi></strong>.</p>"), "{page}");
    assert!(page.contains("<bdi>broken</bdi></a>, <time") && page.contains("<bdi>+14155550000</bdi></a>"), "{page}");
    let (_, action) = page.split_once("<form method=\"post\" action=\"").expect("a form");
    let action = action[..action.find('"').expect("an end")].replace("&#38;", "&");
    let form = format!("matches={}", asked["matches"].as_str().expect("a checksum"));
    assert!(page.contains(&format!("name=\"matches\" value=\"{}\"", &form["matches=".len()..])), "{page}");
    assert_eq!(items(&world, "").await.len(), 3, "nothing is deleted yet");

    // What comes after the page was shown stays.
    world.clock.advance(Duration::from_secs(1));
    world.assemblyai.fail_next_transcript("no speech model today");
    let later = world.dial("14155551234").await;
    world.settle().await;
    // Neither does a list that ends in the future have it, nor one that was seen before.
    let ahead = world.get("/items/delete?progress=failed&until=2099-01-01").await.json();
    assert_eq!((&ahead["here"]["calls"], &ahead["here"]["uploads"]), (&json!(2), &json!(1)));
    let stale = world.send(Method::POST, "/items/delete?progress=failed&until=2099-01-01", &[FORM], &form).await;
    stale.problem(409, "other-matches");
    let deleted = world.send(Method::POST, &action, &[HTML, FORM], &form).await;
    let receipt = deleted.header("location").to_owned();
    assert!(deleted.status == 303 && receipt.starts_with("/items/deletions?calls=1&uploads=1&"), "{receipt}");
    let page = world.get_with(&receipt, &[HTML]).await.text();
    assert!(page.contains("2 still to go.") && page.contains("words of 1 call and 1 upload,"), "{page}");
    assert_eq!(world.get("/items/deletions").await.json(), json!({"deleting": 2, "failed": 0}));
    world.settle().await;
    let page = world.get_with(&receipt, &[HTML]).await.text();
    assert!(page.contains("Nothing is left to be deleted") && page.contains("1 recording with the audio"), "{page}");
    let left = items(&world, "").await;
    assert_eq!((&left[0]["sid"], &left[1]["title"], left.len()), (&json!(later), &json!("notes"), 2), "{left:#?}");
    world.get(&format!("/calls/{failed}")).await.problem(410, "deleted");
    let ended = world.get("/items/delete?since=2020-01-01&until=2099-01-01").await.json();
    world.clock.advance(Duration::from_secs(1));
    world.dial("14155550000").await;
    world.settle().await;
    let found = world.get("/items/delete?since=2020-01-01&until=2099-01-01").await.json();
    assert_ne!(found["matches"], ended["matches"]);
    let answer = world.send(Method::POST, "/items/delete?kind=upload", &[], "").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["here"]["uploads"]), (202, &json!(1)));
    world.settle().await;
    assert_eq!(items(&world, "").await.len(), 2);
}

#[tokio::test]
async fn a_file_that_assemblyai_no_longer_has_must_be_sent_again() {
    let world = World::new().await;
    assert_eq!(upload(&world, "notes.wav", speech::WAV, &[]).await.status, 200);
    world.settle().await;
    let id = ids(&items(&world, "").await)[0].clone();
    let sid = world.get(&format!("/items/{id}")).await.json()["recordings"][0]["sid"].clone();
    world.clock.advance(Duration::from_secs(1));
    world.assemblyai.fail_next_transcript("Download error, unable to download the audio file");
    world.post_json("/transcribe", &json!({"recording_sid": sid, "again": true})).await;
    world.settle().await;
    let shown = world.get(&format!("/items/{id}")).await.json();
    let reason = shown["transcripts"][1]["reason"].as_str().expect("a reason");
    assert!(reason.contains("send the file again"), "{reason}");
    assert_eq!(world.assemblyai.uploads().len(), 1);
}

#[tokio::test]
async fn an_upload_that_is_being_deleted_is_not_transcribed_once_more() {
    let world = World::new().await;
    assert_eq!(upload(&world, "notes.wav", speech::WAV, &[]).await.status, 200);
    world.settle().await;
    let id = ids(&items(&world, "").await)[0].clone();
    world.assemblyai.control.fail_next(Method::DELETE, "/v2/transcript/", refuse(500));
    assert_eq!(world.send(Method::DELETE, &format!("/items/{id}"), &[], "").await.status, 202);
    let refused = upload(&world, "notes.wav", speech::WAV, &[]).await;
    assert!(refused.text().contains("being deleted"), "{}", refused.text());
    world.after(Duration::from_secs(60)).await;
    world.settle().await;
    world.get(&format!("/items/{id}")).await.problem(410, "deleted");
    assert_eq!(world.transcript_requests().len(), 1);
}

#[tokio::test]
async fn uploads_of_an_older_program_are_listed_with_their_words() {
    let world = World::new().await;
    assert_eq!(upload(&world, "notes.wav", speech::WAV, &[]).await.status, 200);
    // Sent again after it had failed, and twice with the same URL, once checked.
    world.assemblyai.fail_next_transcript("no speech model today");
    upload(&world, "broken.wav", b"no audio", &[]).await;
    world.settle().await;
    upload(&world, "broken.wav", b"no audio", &[]).await;
    world.settle().await;
    let checked = world.transcript_requests().len();
    assert_eq!(upload(&world, "again.wav", speech::WAV, &[("keyterms", "Ahoy")]).await.status, 200);
    world.settle().await;
    let id = world.get("/items?q=forty").await.json()["items"][0]["transcript_id"].as_str().expect("an id").to_owned();
    assert_eq!(world.post_json(&format!("/transcript/{id}/checked"), &json!({"checked": true})).await.status, 200);
    assert_eq!(checked, 3);
    // Both transcripts of the speech had one URL.
    let older = "UPDATE spoken SET source = 'https://example.com/talk.wav'; \
                 UPDATE transcripts SET recording_sid = NULL; DELETE FROM recordings; DELETE FROM calls; \
                 UPDATE transcripts SET audio = 'https://example.com/talk.wav' WHERE text <> ''; \
                 DROP INDEX recordings_uploaded; ALTER TABLE recordings DROP COLUMN audio; DROP INDEX calls_uploaded; \
                 DROP INDEX calls_tagged; ALTER TABLE calls DROP COLUMN title; ALTER TABLE calls DROP COLUMN file_name; \
                 ALTER TABLE calls DROP COLUMN folded_title; DELETE FROM _sqlx_migrations WHERE version = 37";
    world.store.execute(older).await.expect("the tables of an older version");
    let newer = world.another_app().await;
    let listed = items(&world, "?kind=upload&sort=oldest").await;
    assert_eq!(listed.iter().map(|item| &item["progress"]).collect::<Vec<_>>(), ["done", "failed"], "{listed:#?}");
    assert!(listed[0]["words"].as_str().is_some_and(|words| words.contains("forty")));
    let talk = ids(&listed)[0].clone();
    assert_eq!(ids(&items(&world, "?q=forty&kind=upload").await), [talk.as_str()]);
    let shown = world.get(&format!("/items/{talk}")).await.json();
    assert_eq!(shown["recordings"][0]["url"], "https://example.com/talk.wav");
    assert_eq!(shown["transcripts"].as_array().map(Vec::len), Some(2));
    for item in ids(&listed) {
        assert_eq!(world.send(Method::DELETE, &format!("/items/{item}"), &[], "").await.status, 202);
    }
    world.settle().await;
    assert_eq!(items(&world, "").await, Vec::<Value>::new());
    newer.stop().await;
}
