//! `/get-recording-url/<call SID>` and `/recordings/<SID>`.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response, StatusCode};
use callscribe::sandbox::control::Fault;
use callscribe::sandbox::speech;
use callscribe::sandbox::twilio::{Outcome, SeededCall, SeededRecording, Stage};
use futures_util::stream;
use reqwest::Method;
use serde_json::json;

use crate::relay::{RECORDING, twilio_with};
use crate::support::World;

#[tokio::test]
async fn the_media_url_of_a_recorded_call_is_one_line_of_text() {
    let world = World::new().await;
    let (call, recording) = world.recorded_call().await;
    for path in [format!("/get-recording-url/{call}"), format!("/get-recording-url/{call}/")] {
        let answer = world.get(&path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(answer.text(), format!("{}\n", world.media_url(&recording)));
    }
}

#[tokio::test]
async fn all_pages_of_twilios_list_are_read_and_the_oldest_recording_comes_first() {
    let world = World::new().await;
    let call_sid = world.twilio.add_call(SeededCall::default());
    let added: Vec<String> = (0..120)
        .map(|_| world.twilio.add_recording(SeededRecording { call_sid: call_sid.clone(), ..Default::default() }))
        .map(|recording| world.media_url(&recording))
        .collect();
    let answer = world.get(&format!("/get-recording-url/{call_sid}")).await;
    assert_eq!(answer.text().lines().collect::<Vec<_>>(), added);
    let pages = world.twilio.control.requests_to(Method::GET, "/Recordings.json");
    assert_eq!(pages.len(), 3, "50 recordings a page");
}

#[tokio::test]
async fn a_call_without_a_recording_is_404_with_its_state_and_when_to_ask_again() {
    let world = World::new().await;
    world.twilio.hold(Stage::InProgress);
    let call = world.dial("14155551234").await;
    world.twilio.control.until(|| (world.twilio.call_status(&call)? == "ringing").then_some(())).await;
    let answer = world.get(&format!("/get-recording-url/{call}")).await;
    let detail = answer.problem(404, "no-recording");
    assert_eq!(detail, format!("call {call} is ringing; it has no recording yet"));
    assert_eq!(answer.header("retry-after"), "3");

    world.twilio.hold(Stage::RecordingCompleted);
    world.twilio.release(Stage::InProgress);
    world.twilio.control.until(|| (world.twilio.call_status(&call)? == "completed").then_some(())).await;
    let answer = world.get(&format!("/get-recording-url/{call}")).await;
    let recording = &world.twilio.recordings_of(&call)[0];
    let detail = answer.problem(404, "no-recording");
    assert_eq!(detail, format!("call {call} is completed; recording {recording} is processing"));
    assert_eq!(answer.header("retry-after"), "3");
}

#[tokio::test]
async fn a_call_that_will_never_have_a_recording_is_404_without_retry_after() {
    let world = World::new().await;
    for (outcome, expected) in [
        (Outcome::Busy, "is busy; it has no recording"),
        (Outcome::NoAnswer, "is no-answer; it has no recording"),
        (Outcome::TooShort, "is absent: it was too short (Twilio code 16101)"),
    ] {
        world.twilio.set_next_outcome(outcome);
        let call = world.dial("14155551234").await;
        world.twilio.settled().await;
        let answer = world.get(&format!("/get-recording-url/{call}")).await;
        let detail = answer.problem(404, "no-recording");
        assert!(detail.ends_with(expected), "{detail}");
        assert_eq!(answer.header("retry-after"), "");
    }
}

#[tokio::test]
async fn as_json_every_recording_has_its_details() {
    let world = World::new().await;
    let call_sid = world.twilio.add_call(SeededCall::default());
    let stereo = world.twilio.add_recording(SeededRecording {
        call_sid: call_sid.clone(),
        channels: 2,
        source: "OutboundAPI",
        duration: Duration::from_secs(61),
        ..Default::default()
    });
    let absent = world.twilio.add_recording(SeededRecording {
        call_sid: call_sid.clone(),
        status: "absent",
        duration: Duration::ZERO,
        error_code: Some(16102),
        ..Default::default()
    });
    let answer = world.get_with(&format!("/get-recording-url/{call_sid}"), &[("accept", "application/json")]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    let expected = json!([
        {
            "sid": stereo, "status": "completed", "duration_seconds": 61, "channels": 2, "source": "OutboundAPI",
            "url": world.media_url(&stereo), "audio": format!("{}/recordings/{stereo}.wav", world.base), "error_code": null,
        },
        {
            "sid": absent, "status": "absent", "duration_seconds": null, "channels": 1, "source": "RecordVerb",
            "url": world.media_url(&absent), "audio": format!("{}/recordings/{absent}.wav", world.base), "error_code": 16102,
        },
    ]);
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn a_malformed_call_sid_is_400_without_a_vendor_request() {
    let world = World::new().await;
    let hex = "0123456789abcdef0123456789abcde";
    for sid in [
        "CA",
        "CA123",
        &format!("CA{hex}"),
        &format!("CA{hex}00"),
        &format!("CA{hex}g"),
        &format!("RE{hex}0"),
        "%ff",
        "..%2f",
    ] {
        let answer = world.get(&format!("/get-recording-url/{sid}")).await;
        answer.problem(400, "bad-request");
    }
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn an_unknown_call_is_404_with_twilios_code_and_words() {
    let world = World::new().await;
    let answer = world.get("/get-recording-url/CA00000000000000000000000000000000").await;
    let detail = answer.problem(404, "vendor-not-found");
    assert!(detail.contains("was not found"), "{detail}");
    assert_eq!(answer.json()["code"], 20404);
    assert_eq!(answer.json()["more_info"], "https://www.twilio.com/docs/errors/20404");
}

#[tokio::test]
async fn a_recording_plays_without_twilios_credentials_whole_and_in_ranges() {
    let world = World::new().await;
    let (_, recording) = world.recorded_call().await;
    for (path, kind, audio) in [
        (format!("/recordings/{recording}"), "audio/x-wav", speech::WAV),
        (format!("/recordings/{recording}.wav"), "audio/x-wav", speech::WAV),
        (format!("/recordings/{recording}.mp3"), "audio/mpeg", speech::MP3),
    ] {
        let whole = world.get(&path).await;
        assert_eq!((whole.status.as_u16(), whole.header("content-type")), (200, kind));
        assert_eq!(whole.header("content-length"), audio.len().to_string());
        assert!(whole.body == audio, "the audio is unchanged");

        let part = world.get_with(&path, &[("range", "bytes=100-199")]).await;
        assert_eq!(part.status, 206);
        assert_eq!(part.header("content-range"), format!("bytes 100-199/{}", audio.len()));
        assert!(part.body == audio[100..200]);
    }
    for (extension, audio) in [("", speech::WAV), (".wav", speech::WAV), (".mp3", speech::MP3)] {
        let length = audio.len();
        for range in [format!("bytes={length}-"), "bytes=9999999-".to_owned(), "bytes=-0".to_owned()] {
            let path = format!("/recordings/{recording}{extension}");
            let beyond = world.get_with(&path, &[("range", &range)]).await;
            let detail = beyond.problem(416, "vendor-rejected");
            assert!(detail.contains(&format!("{length} bytes")), "{detail}");
            assert_eq!(beyond.header("content-range"), format!("bytes */{length}"), "{path} {range}");
        }
    }
}

#[tokio::test]
async fn the_length_in_a_refusal_of_a_range_is_read_and_never_passed_on_as_it_came() {
    for (told, expected) in [
        ("bytes */0100", "bytes */100"),
        ("bytes */100, <script>", ""),
        ("bytes */*", ""),
        ("bytes */-1", ""),
        ("bytes */1000", ""),
        ("bytes 0-9/100", ""),
        ("lines */100", ""),
    ] {
        let twilio = twilio_with(move |_, _| {
            let mut answer = Response::new(Body::from("<Error/>"));
            *answer.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            answer.headers_mut().insert("content-range", told.parse().expect("a header"));
            answer
        });
        let world = World::with(&[("TWILIO_API_URL", &twilio.await)]).await;
        let answer = world.get_with(&format!("/recordings/{RECORDING}"), &[("range", "bytes=500-")]).await;
        answer.problem(416, "vendor-rejected");
        assert_eq!(answer.header("content-range"), expected, "{told}");
    }
}

#[tokio::test]
async fn a_missing_recording_is_404_with_the_code_from_twilios_xml() {
    let world = World::new().await;
    let answer = world.get("/recordings/RE00000000000000000000000000000000").await;
    answer.problem(404, "vendor-not-found");
    assert_eq!(answer.json()["code"], 20404);
    world.get("/recordings/RE1.wav").await.problem(400, "bad-request");
    world.get("/recordings/RE00000000000000000000000000000000.flac").await.problem(400, "bad-request");
}

/// Every way in which a part can be announced wrongly, for `bytes=10-19`.
const WRONG_PARTS: [&str; 9] = [
    "",
    "bytes 0-9/100",
    "bytes 11-19/100",
    "bytes 10-20/100",
    "bytes 10-9/100",
    "bytes 10-19/19",
    "bytes 10-19/99999999999",
    "bytes 10-19/100, text/html",
    "lines 10-19/100",
];

#[tokio::test]
async fn no_header_of_twilios_reaches_a_browser_with_the_audio() {
    let hostile = [
        ("content-disposition", "attachment; filename=\"a.html\""),
        ("etag", "\"<script>\""),
        ("last-modified", "never"),
        ("set-cookie", "callscribe=1"),
        ("refresh", "0; url=https://example.com/"),
        ("link", "<https://example.com/a.css>; rel=stylesheet"),
        ("access-control-allow-origin", "*"),
        ("content-language", "en"),
    ];
    for (path, media_type, audio, expected) in [
        (".wav", "application/octet-stream", speech::WAV, "audio/x-wav"),
        (".wav", "audio/mpeg; charset=<script>", speech::WAV, "audio/x-wav"),
        (".wav", "image/svg", speech::WAV, "audio/x-wav"),
        (".wav", "application/javascript", speech::MP3, "audio/mpeg"),
        (".mp3", "", speech::MP3, "audio/mpeg"),
        (".mp3", "audio/x-wav", speech::WAV, "audio/x-wav"),
        ("", "multipart/byteranges; boundary=a", speech::WAV, "audio/x-wav"),
    ] {
        let twilio = twilio_with(move |_, _| {
            let mut answer = Response::new(Body::from(audio));
            for (name, value) in hostile.iter().chain(&[("content-type", media_type), ("accept-ranges", "<script>")]) {
                answer.headers_mut().insert(*name, value.parse().expect("a header"));
            }
            answer
        });
        let world = World::with(&[("TWILIO_API_URL", &twilio.await)]).await;
        let answer = world.get(&format!("/recordings/{RECORDING}{path}")).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, expected), "{media_type}");
        assert!(answer.body == audio, "{media_type}: the audio is unchanged");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        for name in hostile.iter().map(|(name, _)| *name).chain(["accept-ranges"]) {
            assert_eq!(answer.header(name), "", "{name}");
        }
    }
}

#[tokio::test]
async fn what_is_neither_wav_nor_mp3_is_not_played() {
    for body in [
        &b"GIF89a<html>"[..],
        b"%PDF-1.7",
        b"alert(1)//padding",
        b"\xff\xfe<\0h\0t\0m\0l\0>\0",
        b"\xef\xbb\xbf<html>",
        b"RIFF\x10\0\0\0AVI LIST",
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
        b"0",
    ] {
        let twilio = twilio_with(move |headers: HeaderMap, _| {
            let mut answer = Response::new(Body::from(body));
            if headers.contains_key("range") {
                *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
                let part = format!("bytes 0-{}/{}", body.len() - 1, body.len());
                answer.headers_mut().insert("content-range", part.parse().expect("a header"));
            }
            answer.headers_mut().insert("content-type", "audio/x-wav".parse().expect("a header"));
            answer
        });
        let world = World::with(&[("TWILIO_API_URL", &twilio.await)]).await;
        for path in [format!("/recordings/{RECORDING}.wav"), format!("/recordings/{RECORDING}.mp3")] {
            for range in ["", "bytes=0-"] {
                let detail = world.get_with(&path, &[("range", range)]).await.problem(502, "vendor-bad-answer");
                assert!(detail.contains("the audio, which is "), "{body:?}: {detail}");
            }
        }
    }
}

#[tokio::test]
async fn a_part_has_the_type_asked_for_and_only_the_bytes_asked_for() {
    let path = format!("/recordings/{RECORDING}");
    let answer_with = |part: &'static str, length: Option<usize>, body: &'static [u8]| {
        twilio_with(move |headers: HeaderMap, _| {
            assert_eq!(headers["range"], "bytes=10-19");
            let mut answer = Response::new(match length {
                Some(_) => Body::from(body),
                None => Body::from_stream(stream::iter([Ok::<_, axum::Error>(Bytes::from_static(body))])),
            });
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            answer.headers_mut().insert("content-type", "application/xhtml".parse().expect("a header"));
            answer.headers_mut().insert("content-range", part.parse().expect("a header"));
            answer
        })
    };
    let range = [("range", "bytes=10-19")];
    for (suffix, expected) in [("", "audio/x-wav"), (".wav", "audio/x-wav"), (".mp3", "audio/mpeg")] {
        let twilio = answer_with("bytes 10-19/0100", None, b"<script>10").await;
        let world = World::with(&[("TWILIO_API_URL", &twilio)]).await;
        let part = world.get_with(&format!("{path}{suffix}"), &range).await;
        assert_eq!((part.status.as_u16(), part.header("content-type")), (206, expected));
        assert_eq!((part.header("content-range"), part.header("content-length")), ("bytes 10-19/100", "10"));
        assert_eq!(part.body, b"<script>10");
    }
    for wrong in WRONG_PARTS {
        let world = World::with(&[("TWILIO_API_URL", &answer_with(wrong, None, b"0123456789").await)]).await;
        world.get_with(&path, &range).await.problem(502, "vendor-bad-answer");
    }
    // By its length, then in chunks, when the answer has begun.
    for body in [&b"012345678"[..], b"0123456789a"] {
        let twilio = answer_with("bytes 10-19/100", Some(body.len()), body).await;
        let world = World::with(&[("TWILIO_API_URL", &twilio)]).await;
        world.get_with(&path, &range).await.problem(502, "vendor-bad-answer");
        let twilio = answer_with("bytes 10-19/100", None, body).await;
        let world = World::with(&[("TWILIO_API_URL", &twilio)]).await;
        let answer = world.http.get(format!("{}{path}", world.base)).header("range", "bytes=10-19").send().await;
        if let Ok(answer) = answer {
            assert_eq!(answer.status(), 206);
            assert!(answer.bytes().await.is_err(), "{} bytes", body.len());
        }
    }
}

#[tokio::test]
async fn a_range_that_is_not_one_range_of_bytes_is_ignored() {
    let world = World::new().await;
    let (_, recording) = world.recorded_call().await;
    for range in ["bytes=0-1,3-4", "lines=0-1", "bytes=5-2", "bytes=-", "bytes=a-b", "bytes", "bytes=+5-9", "bytes=--5"]
    {
        let answer = world.get_with(&format!("/recordings/{recording}"), &[("range", range)]).await;
        assert_eq!(answer.status, 200, "{range}");
        assert!(answer.body == speech::WAV, "{range}");
    }
    let path = format!("/recordings/{recording}");
    let changed = world.get_with(&path, &[("range", "bytes=5-9"), ("if-range", "\"another\"")]).await;
    assert_eq!(changed.status, 200);
    for request in world.twilio.control.requests_to(Method::GET, ".wav") {
        assert!(!request.headers.contains_key("range"), "{:?}", request.headers);
    }
}

#[tokio::test]
async fn the_url_of_external_audio_is_one_line_and_an_address_or_twilios_own_is_given() {
    let world = World::new().await;
    let call = world.twilio.add_call(SeededCall::default());
    let address = "https://bucket.s3.amazonaws.com/a.wav?b=c";
    for (url, is_given) in [
        (address.to_owned(), true),
        (format!("{address}\nhttps://example.com/"), false),
        (format!("{address} and more"), false),
        ("javascript:alert(1)".to_owned(), false),
        (format!("{address}{}", "a".repeat(8_000)), false),
    ] {
        let list = json!({ "recordings": [{ "sid": RECORDING, "status": "completed", "media_url": &url }] });
        world.twilio.control.fail_next(Method::GET, "/Recordings.json", Fault::wrong_body(list.to_string()));
        let given = world.get(&format!("/get-recording-url/{call}")).await.text();
        let expected = if is_given { url } else { world.media_url(RECORDING) };
        assert_eq!(given, format!("{expected}\n"));
    }
}
