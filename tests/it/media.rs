//! Checks on a recording's audio as it streams from Twilio. Bad audio must be detected before its last byte, so that a
//! receiver that was promised its length cannot take it for complete.

use std::time::Duration;

use callscribe::internals::{Credentials, Deadlines, Kind, MediaFormat, MediaRequest, Twilio};
use callscribe::sandbox::twilio::{ACCOUNT_SID, AUTH_TOKEN, Audio, SeededRecording};
use callscribe::sandbox::{self, speech};
use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{World, listen};

/// A recording that exists only on the Twilio server that the test itself runs.
const RECORDING: &str = "RE5a9db0c05a9db0c05a9db0c05a9db0c0";

/// How HTTP marks the end of the audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length,
    Chunked,
    /// The connection closes, as in HTTP/1.0.
    Close,
}

const FRAMINGS: [Framing; 3] = [Framing::Length, Framing::Chunked, Framing::Close];

/// The response of a media server.
struct Sent<'a> {
    status: &'a str,
    media_type: &'a str,
    framing: Framing,
    body: &'a [u8],
    /// How many bytes of the body are sent before the server stalls; `None` for all.
    until: Option<usize>,
}

impl<'a> Sent<'a> {
    fn whole(framing: Framing, body: &'a [u8]) -> Self {
        Self { status: "200 OK", media_type: "audio/x-wav", framing, body, until: None }
    }

    fn bytes(&self) -> Vec<u8> {
        let Self { status, media_type, framing, body, until } = *self;
        let (framing, body) = match framing {
            Framing::Length => (format!("Content-Length: {}\r\n", body.len()), body.to_vec()),
            Framing::Chunked => ("Transfer-Encoding: chunked\r\n".to_owned(), in_chunks(body)),
            Framing::Close => (String::new(), body.to_vec()),
        };
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\n{framing}Connection: close\r\n\r\n");
        [head.as_bytes(), &body[..until.unwrap_or(body.len())]].concat()
    }
}

/// Encodes the body in chunks, the first 100 bytes in chunks of 5, so that a file's header is split.
fn in_chunks(body: &[u8]) -> Vec<u8> {
    let (head, rest) = body.split_at(body.len().min(100));
    let mut chunks = Vec::new();
    for chunk in head.chunks(5).chain(rest.chunks(1 << 14)) {
        chunks.extend(format!("{:x}\r\n", chunk.len()).bytes());
        chunks.extend(chunk);
        chunks.extend(b"\r\n");
    }
    chunks.extend(b"0\r\n\r\n");
    chunks
}

/// The audio received, and how the stream ended.
#[derive(Debug)]
struct Read {
    bytes: Vec<u8>,
    end: Result<(), Kind>,
}

impl Read {
    /// Why the audio was rejected, if it was.
    fn objection(&self) -> Option<&str> {
        match &self.end {
            Ok(()) => None,
            Err(Kind::BadBody { path }) => Some(path.strip_prefix("the audio, which ").expect("of the audio")),
            Err(kind) => panic!("{kind:?}"),
        }
    }
}

fn twilio(url: &str) -> Twilio {
    let credentials = Credentials { user: ACCOUNT_SID.to_owned(), password: AUTH_TOKEN.into() };
    Twilio::new(url.parse().expect("an address"), ACCOUNT_SID.to_owned(), credentials, Deadlines::default())
}

/// Requests the audio from a server that sends this response once.
async fn read(sent: Sent<'_>, request: &MediaRequest) -> Read {
    let listener = listen().await;
    let url = format!("http://{}", listener.local_addr().expect("a bound listener"));
    let (answer, is_whole) = (sent.bytes(), sent.until.is_none());
    tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(connection.read_u8().await.expect("a request's head"));
        }
        // The client closes the connection early when it rejects the audio.
        let _ = connection.write_all(&answer).await;
        if !is_whole {
            let _ = connection.read_u8().await;
        }
    });
    let mut media = match twilio(&url).media(RECORDING, request).await {
        Ok(media) => media,
        Err(error) => return Read { bytes: Vec::new(), end: Err(error.kind) },
    };
    let mut bytes = Vec::new();
    while let Some(piece) = media.bytes.next().await {
        match piece {
            Ok(piece) => bytes.extend(piece),
            Err(error) => return Read { bytes, end: Err(error.kind) },
        }
    }
    Read { bytes, end: Ok(()) }
}

/// A RIFF file of these chunks, each padded to an even length, as the format requires.
fn riff(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut file = b"RIFF....WAVE".to_vec();
    for (name, content) in chunks {
        file.extend(*name);
        file.extend(u32::try_from(content.len()).expect("a short chunk").to_le_bytes());
        file.extend(*content);
        file.extend(vec![0; content.len() % 2]);
    }
    let length = u32::try_from(file.len() - 8).expect("a short file");
    with(file, 4, length)
}

/// Overwrites the four bytes at this offset with a number.
fn with(mut file: Vec<u8>, at: usize, number: u32) -> Vec<u8> {
    file[at..at + 4].copy_from_slice(&number.to_le_bytes());
    file
}

fn and(mut file: Vec<u8>, more: &[u8]) -> Vec<u8> {
    file.extend(more);
    file
}

fn without(mut file: Vec<u8>, bytes: usize) -> Vec<u8> {
    file.truncate(file.len() - bytes);
    file
}

/// The content of a `fmt ` chunk, at 8 kHz.
fn format(code: u16, channels: u16, bits: u16) -> Vec<u8> {
    let frame = channels * bits / 8;
    let mut format = Vec::new();
    format.extend([code, channels].iter().flat_map(|number| number.to_le_bytes()));
    format.extend([8_000, 8_000 * u32::from(frame)].iter().flat_map(|number| number.to_le_bytes()));
    format.extend([frame, bits].iter().flat_map(|number| number.to_le_bytes()));
    format
}

const PCM: u16 = 1;
const IMA_ADPCM: u16 = 0x11;
const MU_LAW: u16 = 7;

fn pcm() -> Vec<u8> {
    format(PCM, 1, 16)
}

/// This many bytes that could be samples.
fn sound(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

/// Three seconds in 16 bits and two channels, as Twilio records both sides of a call.
fn golden() -> Vec<u8> {
    riff(&[(b"fmt ", &format(PCM, 2, 16)), (b"data", &sound(96_000))])
}

/// Name, file, and what is wrong with it: first if HTTP marks the end of the body, then if closing the connection does.
type Case = (&'static str, Vec<u8>, Option<&'static str>, Option<&'static str>);

fn corpus() -> Vec<Case> {
    const SHORTER: Option<&str> = Some("is shorter than its header says");
    const LONGER: Option<&str> = Some("is longer than its header says");
    const ENDLESS: Option<&str> = Some("does not say where it ends");
    const SILENT: Option<&str> = Some("contains no sound");
    const FORMLESS: Option<&str> = Some("has no format in its header");
    const NOTHING: Option<&str> = Some("is not an audio file");
    const DOCUMENT: Option<&str> = Some("is a document");
    let (pcm, some, odd) = (&*pcm(), &*sound(1_000), &*sound(999));
    let small = || riff(&[(b"fmt ", pcm), (b"data", some)]);
    let small_odd = || riff(&[(b"fmt ", pcm), (b"data", odd)]);
    let unpadded = |file: Vec<u8>| {
        let length = u32::try_from(file.len() - 9).expect("a short file");
        with(file, 4, length)
    };
    let id3 = [&b"ID3\x03\0\0\0\0\0\x0a"[..], &[0; 10], speech::MP3].concat();
    let same = |name, file, wrong| (name, file, wrong, wrong);
    vec![
        same("16 bits, stereo", golden(), None),
        same("the speech", speech::WAV.to_vec(), None),
        same("mu-law", riff(&[(b"fmt ", &format(MU_LAW, 1, 8)), (b"data", some)]), None),
        same("a long format", riff(&[(b"fmt ", &and(pcm.to_vec(), &[0; 24])), (b"data", some)]), None),
        same("an odd chunk before the sound", riff(&[(b"fmt ", pcm), (b"LIST", odd), (b"data", some)]), None),
        same("a chunk after the sound", riff(&[(b"fmt ", pcm), (b"data", some), (b"LIST", odd)]), None),
        same("an odd sound", small_odd(), None),
        same("an odd sound whose padding is not counted", unpadded(small_odd()), None),
        same("an odd sound without padding", without(unpadded(small_odd()), 1), None),
        same("cut in the middle", without(golden(), 48_000), SHORTER),
        same("cut by a byte", without(small(), 1), SHORTER),
        same(
            "cut by a byte after the sound",
            without(riff(&[(b"fmt ", pcm), (b"data", some), (b"LIST", some)]), 1),
            SHORTER,
        ),
        same("cut in its head", small()[..20].to_vec(), SHORTER),
        same("cut in its first word", b"RIF".to_vec(), SHORTER),
        same("a chunk that extends past the end", with(small(), 40, 1_001), SHORTER),
        same("a byte too long", and(small(), &[0]), LONGER),
        same("two bytes too long, where one is padding", and(unpadded(small_odd()), &[0]), LONGER),
        same("followed by a second file", and(golden(), &golden()), LONGER),
        ("of length 0", with(small(), 4, 0), None, ENDLESS),
        ("of length 0, as its sound", with(with(small(), 4, 0), 40, 0), None, ENDLESS),
        ("of the greatest length", with(small(), 4, u32::MAX), None, ENDLESS),
        ("of the greatest length, as its sound", with(with(small(), 4, u32::MAX), 40, u32::MAX), None, ENDLESS),
        ("of length 0, and cut", without(with(small(), 4, 0), 1), SHORTER, ENDLESS),
        same("a sound of length 0", riff(&[(b"fmt ", pcm), (b"LIST", some), (b"data", b"")]), SILENT),
        same("44 bytes", riff(&[(b"fmt ", pcm), (b"data", b"")]), SILENT),
        ("44 bytes of no length", with(riff(&[(b"fmt ", pcm), (b"data", b"")]), 4, 0), SILENT, ENDLESS),
        same("no sound", riff(&[(b"fmt ", pcm), (b"LIST", some)]), SILENT),
        same("no format", riff(&[(b"LIST", pcm), (b"data", some)]), FORMLESS),
        same("a format that is too short", riff(&[(b"fmt ", &pcm[..14]), (b"data", some)]), FORMLESS),
        same("0 bytes", Vec::new(), NOTHING),
        same("white space", b" \r\n".to_vec(), NOTHING),
        same("a page", b"<!DOCTYPE html><title>Sign in</title>".to_vec(), DOCUMENT),
        same("a page after an empty line", b"\r\n\t <html>".to_vec(), DOCUMENT),
        same("an error in JSON", br#"{"code": 20404}"#.to_vec(), DOCUMENT),
        same("MP3 named WAV", speech::MP3.to_vec(), None),
        same("MP3 with a title", id3, None),
        same("an unknown format", sound(5_000), None),
    ]
}

#[tokio::test]
async fn bad_audio_is_rejected_before_its_last_byte() {
    for (name, file, framed, unframed) in corpus() {
        for framing in FRAMINGS {
            let case = format!("{name}, {framing:?}");
            let read = read(Sent::whole(framing, &file), &MediaRequest::default()).await;
            let wrong = if framing == Framing::Close { unframed } else { framed };
            assert_eq!(read.objection(), wrong, "{case}");
            if wrong.is_none() {
                assert!(read.bytes == file, "{case}: {} bytes", read.bytes.len());
            } else if framing == Framing::Length {
                assert!(read.bytes.len() < file.len().max(1), "{case}: all of it was passed on");
            }
        }
    }
}

#[tokio::test]
async fn audio_with_a_wrong_header_is_not_read_to_its_end() {
    let (long, short) = (and(golden(), b"more"), without(golden(), 1_000));
    let silent = with(golden(), 40, 0);
    let nine_seconds = MediaRequest { seconds: Some(9), ..Default::default() };
    for (file, wrong, request) in [
        (&long, "is longer than its header says", &MediaRequest::default()),
        (&short, "is shorter than its header says", &MediaRequest::default()),
        (&silent, "contains no sound", &MediaRequest::default()),
        (&golden(), "does not have the duration of its recording", &nine_seconds),
    ] {
        // The rest never arrives.
        let sent = Sent { until: Some(50), ..Sent::whole(Framing::Length, file) };
        assert_eq!(read(sent, request).await.objection(), Some(wrong));
    }
    let endless = with(golden(), 4, 0);
    let sent = Sent { until: Some(50), ..Sent::whole(Framing::Close, &endless) };
    assert_eq!(read(sent, &MediaRequest::default()).await.objection(), Some("does not say where it ends"));
}

#[tokio::test]
async fn a_file_longer_than_it_says_is_not_read_to_its_end_even_without_a_content_length() {
    let long = and(golden(), &sound(100_000));
    for framing in [Framing::Chunked, Framing::Close] {
        let sent = Sent { until: Some(150_000), ..Sent::whole(framing, &long) };
        assert_eq!(read(sent, &MediaRequest::default()).await.objection(), Some("is longer than its header says"));
    }
}

#[tokio::test]
async fn a_wav_file_must_be_as_long_as_twilio_says_within_two_seconds_or_longer() {
    let extensible = [format(0xFFFE, 2, 16), vec![22, 0, 16, 0, 3, 0, 0, 0, 1, 0], vec![0; 14]].concat();
    let mu_law = riff(&[(b"fmt ", &format(MU_LAW, 1, 8)), (b"data", &sound(24_000)), (b"LIST", &sound(90_000))]);
    for file in [
        golden(),
        with(with(golden(), 4, u32::MAX), 40, u32::MAX),
        riff(&[(b"fmt ", &extensible), (b"data", &sound(96_000))]),
        mu_law,
    ] {
        for (seconds, fits) in [(0, true), (1, true), (3, true), (5, true), (6, false), (u64::MAX, false)] {
            let request = MediaRequest { seconds: Some(seconds), ..Default::default() };
            for framing in [Framing::Length, Framing::Chunked] {
                let read = read(Sent::whole(framing, &file), &request).await;
                let wrong = (!fits).then_some("does not have the duration of its recording");
                assert_eq!(read.objection(), wrong, "{seconds} s, {framing:?}");
            }
        }
    }
}

#[tokio::test]
async fn sizes_in_the_header_of_a_file_may_be_wrong_if_it_has_the_duration_of_its_recording() {
    const SHORTER: Option<&str> = Some("is shorter than its header says");
    let (file, sound) = (golden, 96_000);
    let both = |riff, data| with(with(golden(), 4, riff), 40, data);
    let long = || riff(&[(b"fmt ", &format(PCM, 2, 16)), (b"data", &self::sound(320_000))]);
    for (name, file, wrong) in [
        ("the length of the file, not of what follows", with(file(), 4, sound + 44), None),
        ("the length of the file as that of the sound", both(sound + 36, sound + 44), None),
        ("a placeholder", both(0x7fff_ffff, 0x7fff_ffdb), None),
        ("a sound of length 0", with(file(), 40, 0), None),
        ("less than there is", both(1_036, 1_000), None),
        ("more sound than there is", with(file(), 40, 10 * sound), None),
        ("nothing wrong, but cut", without(file(), 5_000), SHORTER),
        ("nothing wrong, but cut to what could be all", without(file(), 40_000), SHORTER),
        ("a placeholder, and cut", without(both(0x7fff_ffff, 0x7fff_ffdb), 90_000), SHORTER),
        ("a file after the file", and(file(), &golden()), None),
        ("a placeholder, and longer", with(with(long(), 4, 0x7fff_ffff), 40, 0x7fff_ffdb), None),
        ("longer, but cut", without(long(), 50_000), SHORTER),
    ] {
        for framing in [Framing::Length, Framing::Chunked] {
            let request = MediaRequest { seconds: Some(3), ..Default::default() };
            let read = read(Sent::whole(framing, &file), &request).await;
            assert_eq!(read.objection(), wrong, "{name}, {framing:?}");
            assert!(wrong.is_some() || read.bytes == file, "{name}, {framing:?}");
        }
    }
}

#[tokio::test]
async fn a_whole_file_may_be_far_longer_than_its_recording() {
    let long = riff(&[(b"fmt ", &pcm()), (b"data", &sound(3 << 20))]);
    let request = MediaRequest { seconds: Some(17), ..Default::default() };
    let read = read(Sent::whole(Framing::Length, &long), &request).await;
    assert!(read.objection().is_none() && read.bytes == long);
}

#[tokio::test]
async fn audio_is_read_no_further_than_its_recording_is_long() {
    let pcm = format(PCM, 1, 16);
    let endless_wav = with(with(riff(&[(b"fmt ", &pcm), (b"data", b"")]), 4, u32::MAX), 40, u32::MAX);
    let silent_wav = with(with(riff(&[(b"LIST", b"")]), 4, u32::MAX), 16, u32::MAX);
    for (name, head, rate) in [
        ("WAV", endless_wav, 16_000),
        ("WAV whose sound does not begin", silent_wav, 192_000),
        ("MP3", speech::MP3.to_vec(), 40_000),
        ("MP3 with a title", b"ID3\x03\0\0\0\0\0\x0a".to_vec(), 40_000),
    ] {
        // A second, two of tolerance, and a megabyte that is no sound. The rest never arrives.
        let largest = 3 * rate + (1 << 20);
        let file = and(head, &vec![0; largest + 100_000]);
        let request = MediaRequest { seconds: Some(1), ..Default::default() };
        let sent = Sent { until: Some(largest + 10_000), ..Sent::whole(Framing::Chunked, &file) };
        let read = read(sent, &request).await;
        assert_eq!(read.objection(), Some("is longer than its recording"), "{name}");
        assert!(read.bytes.len() <= largest, "{name}: {} bytes", read.bytes.len());
    }
}

#[tokio::test]
async fn audio_of_unknown_duration_is_not_compared_with_twilios() {
    let packed = riff(&[(b"fmt ", &format(IMA_ADPCM, 1, 8)), (b"data", &sound(1_000))]);
    let rateless = with(golden(), 28, 0);
    for file in [packed, rateless, speech::MP3.to_vec()] {
        let request = MediaRequest { seconds: Some(600), ..Default::default() };
        assert_eq!(read(Sent::whole(Framing::Length, &file), &request).await.objection(), None);
    }
}

#[tokio::test]
async fn plain_bytes_may_be_audio_and_partial_content_is_accepted_only_for_a_range_request() {
    let file = golden();
    for media_type in ["audio/wav", "application/octet-stream", "binary/octet-stream", ""] {
        let sent = Sent { media_type, ..Sent::whole(Framing::Length, &file) };
        assert_eq!(read(sent, &MediaRequest::default()).await.objection(), None, "{media_type}");
    }

    // Neither length nor duration match, and two of the parts begin like a document; in a range none of this matters.
    for part in [&file[..1_000], b"<0>", b"   "] {
        let sent = || Sent { status: "206 Partial Content", ..Sent::whole(Framing::Length, part) };
        let range = Some("bytes=0-999".to_owned());
        let request = MediaRequest { range, seconds: Some(600), ..Default::default() };
        assert_eq!(read(sent(), &request).await.bytes, part);
        assert_eq!(read(sent(), &MediaRequest::default()).await.objection(), Some("is incomplete"));
    }
}

#[tokio::test]
async fn audio_that_is_not_there_yet_is_not_found() {
    let sandbox = sandbox::twilio::Twilio::start(listen().await, sandbox::pace::Pace::instant());
    let seed = |status| sandbox.add_recording(SeededRecording { status, ..Default::default() });
    for sid in [seed("processing"), seed("absent"), RECORDING.to_owned()] {
        for format in [MediaFormat::Wav, MediaFormat::Mp3] {
            let request = MediaRequest { format, ..Default::default() };
            match twilio(sandbox.url()).media(&sid, &request).await.map(|_| ()) {
                Err(error) => match error.kind {
                    Kind::NotFound(refusal) => assert_eq!((refusal.status, refusal.code), (404, Some(20404))),
                    kind => panic!("{kind:?}"),
                },
                Ok(()) => panic!("the audio of {sid} was found"),
            }
        }
    }
}

#[tokio::test]
async fn a_recording_whose_audio_is_longer_than_its_duration_is_transcribed() {
    let world = World::new().await;
    for (audio, seconds) in [(speech::WAV.to_vec(), 2), (and(speech::WAV.to_vec(), b"more"), 5)] {
        let (audio, duration) = (Audio::Bytes(audio.into()), Duration::from_secs(seconds));
        let recording = world.twilio.add_recording(SeededRecording { audio, duration, ..Default::default() });
        let answer = world.post_json("/transcribe", &json!({ "recording_sid": recording })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[tokio::test]
async fn bad_audio_is_neither_complete_at_assemblyai_nor_paid_for() {
    let speech = || Audio::Bytes(speech::WAV.into());
    for (audio, seconds, wrong) in [
        (Audio::Bytes(without(speech::WAV.to_vec(), 10_000).into()), 5, "shorter than its header says"),
        // Its length is right, and AssemblyAI receives it in Content-Length.
        (Audio::Bytes(riff(&[(b"fmt ", &pcm()), (b"LIST", &sound(100_000))]).into()), 5, "contains no sound"),
        (Audio::Bytes("{\"code\": 20404}".into()), 5, "a document"),
        (speech(), 60, "not have the duration of its recording"),
        (speech(), 8, "not have the duration of its recording"),
    ] {
        let world = World::new().await;
        let duration = Duration::from_secs(seconds);
        let recording = world.twilio.add_recording(SeededRecording { audio, duration, ..Default::default() });
        let answer = world.post_json("/transcribe", &json!({ "recording_sid": recording })).await;
        let detail = answer.problem(502, "vendor-bad-answer");
        assert!(detail.ends_with(wrong), "{detail}");
        assert_eq!(world.assemblyai.uploads(), []);
        assert_eq!(world.assemblyai.control.requests_to(Method::POST, "/v2/transcript").len(), 0);
    }
}
