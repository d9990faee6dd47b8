//! The operator's pages: what they show, that foreign text stays text, and that they load nothing from another host.
//!
//! These tests see the HTML that scripts receive, not what scripts do with it; for that, see `pages_in_browser`.

use std::collections::BTreeSet;
use std::io::Read as _;

use callscribe::sandbox::control::Callbacks;
use callscribe::sandbox::speech;
use callscribe::sandbox::twilio::{ACCOUNT_SID, Outcome, Stage};
use flate2::read::GzDecoder;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, World, listen, steps_repeat};

const PAGE: [(&str, &str); 1] = [("accept", "text/html")];

impl World {
    /// Fetches a page and asserts that it is HTML with status 200.
    pub(crate) async fn page(&self, path: &str) -> String {
        let page = self.get_with(path, &PAGE).await;
        assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"), "{path}");
        page.text()
    }

    /// Fetches the page of an upload, to which that of its transcript leads.
    pub(crate) async fn page_of_upload(&self, transcript: &str) -> String {
        let there = self.get_with(&format!("/transcript/{transcript}?format=html"), &PAGE).await;
        self.page(there.header("location")).await
    }
}

/// A page without what differs between runs: ids, hashes, times, ports, and the order of callbacks.
fn stable(world: &World, page: &str) -> String {
    let page = page
        .replace(world.twilio.url(), "<twilio>")
        .replace(world.assemblyai.url(), "<assemblyai>")
        .replace(&world.base, "<base>");
    let mut stable = String::new();
    let mut rest = &*page;
    // Long runs of hex digits and hyphens are ids.
    while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let run = rest[start..].find(|c: char| !c.is_ascii_hexdigit() && c != '-').unwrap_or(rest.len() - start);
        stable += &rest[..start];
        stable += if run >= 16 { "<id>" } else { &rest[start..start + run] };
        rest = &rest[start + run..];
    }
    stable += rest;
    for (begin, end) in
        [("<time ", "</time>"), ("id=\"history\"", "</ol>"), ("data-since=\"", "\""), ("data-at=\"", "</title>")]
    {
        stable = without(&stable, begin, end);
    }
    // "ringing" may be reported too late to be stored, so its time may be missing.
    stable.replace("<time …</time>", "")
}

/// Replaces the text between `begin` and the next `end` with an ellipsis, everywhere.
fn without(text: &str, begin: &str, end: &str) -> String {
    let mut parts = text.split(begin);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        kept += begin;
        kept += "…";
        kept += &part[part.find(end).expect("an end")..];
    }
    kept
}

/// All values of an attribute.
fn attributes<'p>(page: &'p str, name: &str) -> Vec<&'p str> {
    let begin = format!(" {name}=\"");
    page.split(&*begin).skip(1).map(|rest| rest.split('"').next().unwrap_or_default()).collect()
}

#[tokio::test]
async fn pages_match_their_snapshots() {
    if steps_repeat() {
        // Repeated steps leave more events in the history.
        return;
    }
    let world = World::new().await;
    insta::assert_snapshot!("home_without_calls", stable(&world, &world.page("/").await));
    insta::assert_snapshot!("transcribe", stable(&world, &world.page("/transcribe").await));

    world.assemblyai.hold();
    let (call, _) = world.recorded_call().await;
    world.app.run_due_jobs().await;
    insta::assert_snapshot!("call_being_transcribed", stable(&world, &world.page(&format!("/calls/{call}")).await));
    world.assemblyai.release();
    world.settle().await;
    insta::assert_snapshot!("call_done", stable(&world, &world.page(&format!("/calls/{call}")).await));
    insta::assert_snapshot!("home", stable(&world, &world.page("/").await));
    insta::assert_snapshot!("calls", stable(&world, &world.page("/calls").await));
    insta::assert_snapshot!("hits", stable(&world, &world.page("/calls?q=%22ship+order%22").await));
    insta::assert_snapshot!("deletion", stable(&world, &world.page(&format!("/calls/{call}/delete")).await));
    assert_eq!(world.post_form(&format!("/calls/{call}/delete"), "").await.status, 202);
    insta::assert_snapshot!("call_being_deleted", stable(&world, &world.page(&format!("/calls/{call}")).await));
    world.settle().await;
    let old = [PAGE[0], ("user-agent", "Mozilla/5.0")];
    let page = world.get_with("/dial/14155551234?keyterms=Ahoy,order", &old).await;
    insta::assert_snapshot!("confirmation", stable(&world, &page.text()));

    world.assemblyai.fail_next_transcript("nobody speaks in it");
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    insta::assert_snapshot!("call_failed", stable(&world, &world.page(&format!("/calls/{call}")).await));
    let request = json!({"audio_url": "https://example.com/a.wav"});
    let id = world.post_json("/transcribe", &request).await.json()["id"].as_str().expect("an id").to_owned();
    world.settle().await;
    let page = world.page_of_upload(&id).await;
    insta::assert_snapshot!("transcript_failed", stable(&world, &page));
    let file =
        [b"--x\r\nContent-Disposition: form-data; name=file; filename=a.wav\r\n\r\n", speech::WAV, b"\r\n--x--\r\n"]
            .concat();
    let sent =
        world.http.post(format!("{}/transcribe", world.base)).header("content-type", "multipart/form-data; boundary=x");
    let answer = Answer::of(sent.body(file).send().await.expect("an answer")).await;
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    world.settle().await;
    let page = world.page_of_upload(&id).await;
    insta::assert_snapshot!("transcript_done", stable(&world, &page));
}

#[tokio::test]
async fn a_failed_transcript_says_why_and_can_be_tried_again() {
    let world = World::new().await;
    world.assemblyai.fail_next_transcript("the audio has no <speech> in it");
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let path = format!("/calls/{call}");
    let page = world.page(&path).await;
    assert!(page.contains("No transcript") && page.contains("the audio has no &#60;speech&#62; in it"), "{page}");
    assert!(page.contains(&format!("action=\"{path}/retry\"")) && page.contains("Retry transcript"), "{page}");
    let again = world.send(Method::POST, &format!("{path}/retry"), &PAGE, "").await;
    assert_eq!((again.status.as_u16(), again.header("location")), (303, &*path));
    world.settle().await;
    let page = world.page(&path).await;
    assert!(page.contains("Friday.") && !page.contains("Retry transcript"), "{page}");
}

#[tokio::test]
async fn the_title_of_a_calls_page_is_its_number_its_state_and_its_date() {
    let world = World::new().await;
    world.assemblyai.hold();
    let (call, _) = world.recorded_call().await;
    world.app.run_due_jobs().await;
    for state in ["Transcribing", "Done"] {
        let page = world.page(&format!("/calls/{call}")).await;
        let at = world.call(&call).await["created_at"].as_str().expect("a time").parse::<jiff::Timestamp>();
        let at = at.expect("a time").strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        assert!(page.contains(&format!(">+14155551234 · {state} · {at}</title>")), "{page}");
        let heading = page
            .split_once("<h1 id=\"who\" data-live>")
            .and_then(|(_, rest)| rest.split_once("</h1>"))
            .expect("a heading")
            .0;
        assert!(heading.starts_with("+14155551234 <time ") && heading.contains(&at), "{heading}");
        assert!(
            page.contains(&format!("<p class=\"sentence\">dialing +14155551234. call SID is: {call}</p>")),
            "{page}"
        );
        world.assemblyai.release();
        world.settle().await;
    }
}

#[tokio::test]
async fn a_calls_page_leads_back_to_the_list_that_it_was_opened_from() {
    let world = World::new().await;
    let (call, _) = world.recorded_call().await;
    let base = &world.base;
    for (from, back) in [
        (format!("{base}/calls?q=%22ship+order%22&state=completed"), "/calls?q=%22ship+order%22&#38;state=completed"),
        (format!("{base}/calls?after=5.x"), "/calls?after=5.x"),
        (format!("{base}/"), "/"),
        (format!("{base}/items?kind=call"), "/items?kind=call"),
        (format!("{base}/calls/{call}"), "/items"),
        (format!("{base}/login?next=/calls"), "/items"),
        ("https://evil.example/calls?q=x".to_owned(), "/items"),
        (format!("{base}.evil.example/calls?q=x"), "/items"),
        ("nonsense".to_owned(), "/items"),
    ] {
        let page = world.get_with(&format!("/calls/{call}"), &[PAGE[0], ("referer", &from)]).await;
        assert!(page.text().contains(&format!("<a href=\"{back}\">Back to the")), "{from}: {}", page.text());
        assert!(page.header("vary").contains("referer"));
    }
}

#[tokio::test]
async fn the_words_that_a_search_found_are_marked_on_the_page_that_it_leads_to() {
    let world = World::new().await;
    let (call, recording) = world.recorded_call().await;
    world.settle().await;
    let hits = world.page("/calls?q=%22ship+order%22+ah*").await;
    let link = attributes(&hits, "href").into_iter().find(|link| link.contains(&call)).expect("a link").to_owned();
    assert!(link.starts_with(&format!("/calls/{call}?q=%22ship+order%22+ah*#{recording}@")), "{link}");
    let page = world.page(link.split('#').next().expect("an address")).await;
    for word in [
        "<span class=\"found first\">",
        "<span class=\"found\">",
        "<mark class=\"found first\" data-lasts=\"290\" title=\"62% sure\">Ahoy</mark>",
        "2 found <output></output>",
    ] {
        assert!(page.contains(word), "{word} in {page}");
    }
    assert_eq!((page.matches("class=\"found").count(), page.matches("class=\"found first").count()), (3, 2), "{page}");
    for path in [format!("/calls/{call}"), format!("/calls/{call}?q=nowhere"), format!("/calls/{call}?q=")] {
        let page = world.page(&path).await;
        assert!(!page.contains("class=\"found") && !page.contains("found <output>"), "{page}");
    }
    // Only the page knows what was searched for.
    world.get(&format!("/calls/{call}?q=order")).await.problem(400, "bad-request");
}

#[tokio::test]
async fn a_button_that_retries_says_what_and_only_one_that_calls_says_call() {
    let world = World::new().await;
    world.assemblyai.fail_next_transcript("nobody speaks in it");
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let buttons = async |call: &str| -> Vec<String> {
        let page = world.page(&format!("/calls/{call}")).await;
        let deeds = page.split_once("id=\"deeds\"").and_then(|(_, rest)| rest.split_once("</div>")).expect("deeds").0;
        let button = |rest: &str| Some(rest.split_once('>')?.1.split_once("</button>")?.0.to_owned());
        deeds.split("<button").skip(1).filter_map(button).collect()
    };
    assert_eq!(buttons(&call).await, ["Retry transcript", "Call again"]);
}

#[tokio::test]
async fn while_the_callee_speaks_the_page_shows_recording() {
    let world = World::new().await;
    world.twilio.hold(Stage::RecordingProcessing);
    let call = world.dial("14155551234").await;
    let recording = world.twilio.control.until(|| world.twilio.recordings_of(&call).pop()).await;
    let update = [
        ("AccountSid", ACCOUNT_SID),
        ("CallSid", &*call),
        ("RecordingSid", &recording),
        ("RecordingStatus", "in-progress"),
    ];
    assert_eq!(world.callback("/hooks/twilio/recording", &update).await.status, 204);
    let page = world.page(&format!("/calls/{call}")).await;
    let now = "<li class=\"now\" aria-current=\"step\"><span class=\"step\">Recording</span>";
    assert!(page.contains(now) && page.contains("Recording in progress."), "{page}");
    assert!(world.page("/").await.contains("<span class=\"state now\">Recording</span>"));
    world.twilio.release(Stage::RecordingProcessing);
    world.settle().await;
    assert_eq!(world.call(&call).await["progress"], "done");
}

#[tokio::test]
async fn a_page_without_scripts_reloads_until_the_call_is_done() {
    let world = World::new().await;
    world.twilio.control.set_callbacks(Callbacks::Drop);
    let sid = world.dial("14155551234").await;
    let refresh = "<noscript><meta http-equiv=\"refresh\" content=\"3\"></noscript>";
    let answer = world.get_with(&format!("/calls/{sid}"), &PAGE).await;
    assert!(answer.text().contains(refresh), "{}", answer.text());
    assert_eq!(answer.header("refresh"), "", "a reload would stop playback where scripts run");
    world.after(std::time::Duration::from_secs(61)).await;
    world.settle().await;
    assert_eq!(world.call(&sid).await["progress"], "done");
    assert!(!world.page(&format!("/calls/{sid}")).await.contains("http-equiv"));
}

#[tokio::test]
async fn every_word_has_its_time_and_doubtful_words_their_confidence() {
    let world = World::new().await;
    let (call, recording) = world.recorded_call().await;
    world.settle().await;
    let page = world.page(&format!("/calls/{call}")).await;
    for word in [
        "data-after=\"0 430 ",
        ">Hello, this is",
        "<mark data-lasts=\"290\" title=\"62% sure\">Ahoy</mark>",
        &format!(
            "<a class=\"from\" dir=\"ltr\" href=\"/recordings/{recording}.wav#t=0.200\" data-start=\"200\">0:00</a>"
        ),
        "less than 70% sure",
    ] {
        assert!(page.contains(word), "{word} in {page}");
    }
    assert_eq!(times(&page), 16);
}

#[tokio::test]
async fn speakers_have_separate_paragraphs() {
    let world = World::new().await;
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let update = "UPDATE words SET speaker = CASE WHEN position < 6 THEN 'A' ELSE '<B>' END";
    world.store.execute(update).await.expect("rows");
    let page = world.page(&format!("/calls/{call}")).await;
    assert_eq!(page.matches("class=\"from\"").count(), 2);
    assert!(
        page.contains("<b dir=\"auto\">Speaker A<i class=\"unseen\">:</i></b>")
            && page.contains("<b dir=\"auto\">Speaker &#60;B&#62;<i class=\"unseen\">:</i></b>"),
        "{page}"
    );
}

#[tokio::test]
async fn transcripts_of_one_recording_differ_by_time_and_key_terms() {
    let world = World::with(&[("KEYTERMS", "Ahoy Street")]).await;
    let call = world.get("/dial/14155551234?keyterms=order").await.text().trim().rsplit(' ').next().map(str::to_owned);
    let call = call.expect("a SID");
    world.settle().await;
    let again = format!("call_sid={call}&keyterms=Friday");
    assert_eq!(world.post_form("/transcribe", &again).await.status, 200);
    world.settle().await;
    let page = world.page(&format!("/calls/{call}")).await;
    for terms in ["order", "Ahoy Street, order", "Ahoy Street, Friday, order"] {
        assert!(page.contains(&format!("<p class=\"terms\">Key terms: {terms}</p>")), "{terms} in {page}");
    }
    let names: BTreeSet<&str> =
        attributes(&page, "aria-labelledby").into_iter().filter(|name| *name != "way").collect();
    assert_eq!(names.len(), 2, "each has its own name: {names:?}");
    assert!(names.iter().all(|name| page.contains(&format!("<h3 id=\"{name}\">Transcript <time datetime="))), "{page}");
}

#[tokio::test]
async fn search_results_do_not_refresh_automatically() {
    let world = World::new().await;
    world.recorded_call().await;
    world.settle().await;
    for (path, follows) in [("/calls", true), ("/calls?state=completed", true), ("/calls?q=order", false)] {
        assert_eq!(world.page(path).await.contains("data-since"), follows, "{path}");
    }
}

#[tokio::test]
async fn pages_say_in_words_what_went_wrong_and_what_to_do() {
    let world = World::new().await;
    world.twilio.set_next_outcome(Outcome::Busy);
    let busy = world.dial("14155551234").await;
    world.settle().await;
    let page = world.page(&format!("/calls/{busy}")).await;
    assert!(
        page.contains("The line was busy. To ring the phone again, use Call again.")
            && page.contains("<button>Call again"),
        "{page}"
    );
    assert!(page.contains("Call requested from Twilio"), "{page}");

    world.assemblyai.hold();
    let (call, _) = world.recorded_call().await;
    let path = format!("/calls/{call}");
    let refused = world.send(Method::POST, &format!("{path}/delete"), &PAGE, "").await;
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains(&format!("<a href=\"{path}\">Back to the call</a>")), "{}", refused.text());
    world.assemblyai.release();
    world.settle().await;
    world.store.execute("DELETE FROM words").await.expect("rows");
    world.store.execute("UPDATE transcripts SET text = ''").await.expect("rows");
    assert!(world.page(&path).await.contains("Nothing was said."));

    world.assemblyai.fail_next_transcript("nobody speaks in it");
    world.recorded_call().await;
    world.settle().await;
    assert!(world.page("/").await.contains("nobody speaks in it"));
}

#[tokio::test]
async fn every_writing_system_is_shown_in_its_own_way() {
    let world = World::new().await;
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    for (word, shown) in [
        ("会议", "<span>会议</span><span>"),
        ("회의", ">회의 "),
        ("שלום", "<p dir=\"auto\" id=\""),
        // Bidirectional controls would reverse the text that follows.
        ("\u{202E}no\u{2067}", ">no "),
    ] {
        let update = format!("UPDATE words SET word = '{word}', confidence = 1");
        world.store.execute(&update).await.expect("rows");
        let page = world.page(&format!("/calls/{call}")).await;
        assert!(page.contains(shown), "{shown} in {page}");
    }
}

#[tokio::test]
async fn hostile_text_is_escaped_everywhere() {
    let world = World::new().await;
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let markup = "\"''><script>alert(1)</script><img src=x onerror=alert(1)>";
    for update in [
        format!("UPDATE words SET word = '{markup}', speaker = '{markup}', confidence = 0.1"),
        format!("UPDATE transcripts SET text = '{markup}', reason = '{markup}'"),
        format!("UPDATE calls SET reason = '{markup}', from_number = '{markup}', to_number = '{markup}'"),
    ] {
        world.store.execute(&update).await.expect("rows");
    }
    for path in ["/".to_owned(), "/calls".to_owned(), format!("/calls/{call}")] {
        let page = world.page(&path).await;
        assert!(page.contains("alert(1)"), "the text is shown: {page}");
        assert!(
            !page.contains("<img") && page.matches("<script").count() == page.matches("<script src=\"/assets/").count(),
            "{page}"
        );
        assert!(attributes(&page, "onerror").is_empty(), "{page}");
    }
}

#[tokio::test]
async fn the_list_shows_each_calls_progress_duration_and_first_words() {
    let world = World::new().await;
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let row = &world.get("/calls").await.json()["calls"][0];
    assert_eq!((&row["sid"], &row["progress"]), (&call.into(), &"done".into()), "{row}");
    assert!(row["words"].as_str().is_some_and(|words| words.starts_with("Hello, this is a test call.")), "{row}");
    assert_eq!(row["duration_seconds"], 5);
    let (list, shown) = (world.get("/calls").await.json(), world.call(row["sid"].as_str().expect("a SID")).await);
    assert_eq!(list["calls"][0]["progress"], shown["progress"]);
}

#[tokio::test]
async fn each_call_is_on_one_page_of_the_list_newest_first() {
    let world = World::new().await;
    let rows = (0..120).map(|n| {
        // Seven calls share each millisecond.
        let (id, at) = (format!("{n:032x}"), 1_000_000_000_000_i64 + n / 7);
        format!("('{id}', 'inbound', '+1415555{n:04}', '[]', 'busy', 6, 0, {at}, {at})")
    });
    let rows: Vec<String> = rows.collect();
    let insert =
        "INSERT INTO calls (id, direction, from_number, keyterms, state, rank, holds_number, created_at, updated_at)";
    world.store.execute(&format!("{insert} VALUES {}", rows.join(", "))).await.expect("rows");
    let (mut path, mut seen) = (Some("/".to_owned()), Vec::new());
    while let Some(here) = path {
        let page = world.page(&here).await;
        let links = attributes(&page, "href");
        seen.extend(links.iter().filter(|link| link.starts_with("/calls/")).map(|link| link.to_string()));
        path = links.iter().find(|link| link.starts_with("/items?after=")).map(|link| link.to_string());
        assert!(page.len() < 60_000, "{here} has {} bytes", page.len());
    }
    let newest_first: Vec<String> = (0..120).rev().map(|n| format!("/calls/{n:032x}")).collect();
    assert_eq!(seen, newest_first);
}

#[tokio::test]
async fn every_link_of_a_page_works_and_stays_on_this_host() {
    let world = World::new().await;
    world.recorded_call().await;
    world.settle().await;
    let (mut open, mut seen) = (vec!["/".to_owned()], BTreeSet::new());
    while let Some(path) = open.pop() {
        let answer: Answer = world.get_with(&path, &PAGE).await;
        if answer.status == 303 {
            open.push(answer.header("location").to_owned());
            continue;
        }
        assert_eq!(answer.status, 200, "{path}");
        if !answer.header("content-type").starts_with("text/html") {
            continue;
        }
        let page = answer.text();
        for link in ["href", "src"].into_iter().flat_map(|name| attributes(&page, name)) {
            if path.starts_with("/help") && (link.starts_with("https://") || link.starts_with('#')) {
                // The manual names the tutorial; a test of its own follows its anchors.
                continue;
            }
            if let Some(part) = link.strip_prefix('#') {
                assert!(page.contains(&format!("id=\"{part}\"")), "{path} leads to {link}");
                continue;
            }
            assert!(link.starts_with('/') && !link.starts_with("//"), "{path} leads to {link}");
            let link = link.replace("&#38;", "&").replace("&amp;", "&");
            let link = link.split('#').next().expect("an address").to_owned();
            if seen.insert(link.clone()) {
                open.push(link);
            }
        }
    }
    for kind in ["/calls/CA", "/recordings/RE", "format=srt", "format=json", "/assets/page.", "/assets/icon."] {
        assert!(seen.iter().any(|link| link.contains(kind)), "{kind} in {seen:?}");
    }
}

#[tokio::test]
async fn assets_are_cached_by_browsers_and_change_their_address_with_their_content() {
    let world = World::new().await;
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let page = world.page(&format!("/calls/{call}")).await;
    let assets = ["href", "src"].into_iter().flat_map(|name| attributes(&page, name));
    let assets: Vec<&str> = assets.filter(|link| link.starts_with("/assets/")).collect();
    assert_eq!(assets.len(), 7, "style sheet, icon and scripts: {assets:?}");
    let mut size = page.len();
    for asset in assets {
        let answer = world.get(asset).await;
        assert_eq!(answer.header("cache-control"), "private, max-age=31536000, immutable", "{asset}");
        size += answer.body.len();
        let (name, rest) = asset.split_once('.').expect("a name");
        let (hash, extension) = rest.split_once('.').expect("a hash");
        assert!(hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{asset}");
        let other = world.get(&format!("{name}.0000000000000000.{extension}")).await;
        other.problem(404, "no-such-path");
        assert_eq!(other.header("cache-control"), "no-store");
    }
    assert!(size < 100_000, "{size} bytes");
}

/// A pseudo-random generator.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    /// A made-up word, with frequencies as in speech: a few words make up most of the text.
    fn word(&mut self) -> String {
        let common = self.below(40).min(self.below(40));
        let rank = if common < 12 { common } else { self.below(2_000) };
        let mut word = Chance(rank);
        (0..1 + rank % 3)
            .map(|_| ["ta", "ne", "ri", "so", "lum", "per", "gan", "de", "mi", "vo"][word.below(10) as usize])
            .collect()
    }
}

/// The number of bytes transferred for a page and its assets.
async fn transferred(world: &World, path: &str) -> usize {
    let gzip = [("accept", "text/html"), ("accept-encoding", "gzip, deflate, br")];
    let page = world.get_with(path, &gzip).await;
    assert_eq!(page.header("content-encoding"), "gzip");
    assert!(page.header("vary").contains("accept-encoding"), "{:?}", page.headers);
    let mut plain = String::new();
    GzDecoder::new(&*page.body).read_to_string(&mut plain).expect("gzip");
    let mut bytes = page.body.len();
    for link in ["href", "src"].into_iter().flat_map(|name| attributes(&plain, name)) {
        if link.starts_with("/assets/") {
            bytes += world.get_with(link, &gzip).await.body.len();
        }
    }
    bytes
}

/// The number of words whose times are on a page.
fn times(page: &str) -> usize {
    attributes(page, "data-after").iter().map(|times| times.split(' ').count()).sum()
}

#[tokio::test]
async fn a_page_is_small_however_much_was_said() {
    let world = World::new().await;
    let (call, _) = world.recorded_call().await;
    world.settle().await;
    let (mut chance, mut at) = (Chance(1), 0);
    // About 45 minutes of speech.
    for from in (0..9_000).step_by(1_000) {
        let word = |position| {
            at += 120 + chance.below(360);
            let end = ["", "", "", "", "", "", "", "", "", "", ".", ","][chance.below(12) as usize];
            let (word, confidence) = (chance.word(), if chance.below(20) == 0 { "0.6" } else { "0.9" });
            format!("((SELECT id FROM transcripts), {}, '{word}{end}', {at}, {at}, {confidence})", position + 16)
        };
        let words: Vec<String> = (from..from + 1_000).map(word).collect();
        let insert = "INSERT INTO words (transcript, position, word, start_ms, end_ms, confidence) VALUES";
        world.store.execute(&format!("{insert} {}", words.join(", "))).await.expect("rows");
    }
    let path = format!("/calls/{call}");
    let plain = world.page(&path).await;
    assert_eq!(times(&plain), 9_016);
    let bytes = transferred(&world, &path).await;
    assert!(bytes < 72_000, "{bytes} bytes");

    let row = |n: u64| {
        let id = format!("{:016x}{:016x}", chance.below(1 << 31), chance.below(1 << 31));
        let said: String = (0..200).filter_map(|_| char::from_u32(0x4e00 + chance.below(3_000) as u32)).collect();
        format!("('{id}', 'inbound', '+1415555{n:04}', '[]', 'busy', 6, '{said}', 0, {n}000, {n}000)")
    };
    let rows: Vec<String> = (0..50).map(row).collect();
    let insert = "INSERT INTO calls (id, direction, from_number, keyterms, state, rank, reason, holds_number, created_at, \
                  updated_at) VALUES";
    world.store.execute(&format!("{insert} {}", rows.join(", "))).await.expect("rows");
    let bytes = transferred(&world, "/").await;
    assert!(bytes < 60_000, "{bytes} bytes");
}

#[tokio::test]
async fn only_pages_and_assets_are_compressed_and_only_for_clients_that_accept_it() {
    let world = World::new().await;
    let (_, recording) = world.recorded_call().await;
    world.settle().await;
    for (accepted, coding) in
        [("gzip", "gzip"), ("br, GZIP;q=0.5", "gzip"), ("gzip;q=0", ""), ("identity", ""), ("", "")]
    {
        let page = world.get_with("/", &[("accept", "text/html"), ("accept-encoding", accepted)]).await;
        assert_eq!(page.header("content-encoding"), coding, "{accepted}");
        assert_eq!(page.header("content-length"), page.body.len().to_string(), "{accepted}");
    }
    for path in [format!("/recordings/{recording}.wav"), "/calls".to_owned(), "/healthz".to_owned()] {
        let answer = world.get_with(&path, &[("accept", "*/*"), ("accept-encoding", "gzip")]).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-encoding")), (200, ""), "{path}");
    }
}

#[tokio::test]
async fn pages_warn_the_operator_if_base_url_does_not_lead_here() {
    let nowhere = listen().await.local_addr().expect("a bound listener");
    let base = format!("http://{nowhere}");
    let world = World::with(&[("BASE_URL", &base), ("OPERATOR_TOKEN", "open-sesame-open")]).await;
    let words = format!("BASE_URL ({base}) does not lead to this program");
    assert!(!world.page("/").await.contains(&words));
    assert!(!world.app.probe().await);
    for path in ["/", "/calls", "/transcribe"] {
        assert!(world.page(path).await.contains(&words), "{path}");
    }
    let stranger = [("accept", "text/html"), ("host", "example.ngrok.app")];
    assert!(!world.get_with("/login", &stranger).await.text().contains("does not lead"));
}

#[tokio::test]
async fn the_page_of_a_transcript_is_that_of_its_call_or_upload() {
    let world = World::new().await;
    let call = world.dial("14155551234").await;
    world.settle().await;
    let id = world.call(&call).await["transcripts"][0]["id"].as_str().expect("an id").to_owned();
    let answer = world.get_with(&format!("/transcript/{id}?format=html"), &[("accept", "text/html")]).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, format!("/calls/{call}").as_str()));

    world.assemblyai.hold();
    let request = json!({"audio_url": "https://example.com/<b>.wav"});
    let id = world.post_json("/transcribe", &request).await.json()["id"].as_str().expect("an id").to_owned();
    let there = world.get_with(&format!("/transcript/{id}?format=html"), &PAGE).await;
    let path = there.header("location");
    assert!(path.starts_with("/items/"), "{path}");
    let page = world.page(path).await;
    assert!(page.contains("Transcribing") && page.contains("http-equiv=\"refresh\""), "{page}");
    assert!(page.contains("https://example.com/&#60;b&#62;.wav"), "{page}");
    world.assemblyai.release();
    world.settle().await;
    let page = world.page(path).await;
    assert!(page.contains("Download error") && !page.contains("http-equiv=\"refresh\""), "{page}");
    assert!(page.contains(">&#60;b&#62;.wav · No transcript · 20"), "{page}");
    let from = format!("{}/calls?q=order", world.base);
    let page = world.get_with(path, &[PAGE[0], ("referer", &from)]).await.text();
    assert!(page.contains("<a href=\"/calls?q=order\">Back to the search</a>"), "{page}");
}
