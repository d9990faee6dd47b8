//! `callscribe upload`: files that are sent to a program that runs, here to one with the sandbox.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use callscribe::sandbox::speech;
use serde_json::Value;

use crate::support::command::{Ended, Folder, Program, request};

/// Runs the command in this folder.
fn upload(folder: &Folder, arguments: &[&str]) -> Ended {
    Program::start(folder.path(), &[&["upload"], arguments].concat(), &[]).end()
}

fn put(folder: &Folder, name: &str, bytes: &[u8]) {
    fs::write(folder.path().join(name), bytes).expect("a file");
}

/// The titles of the uploads in the list of a program, oldest first.
fn titles(address: &str) -> Vec<String> {
    let answer = request(address, "GET", "/items?kind=upload&sort=oldest", "");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let list: Value = serde_json::from_str(body).expect("JSON");
    let items = list["items"].as_array().expect("a list").iter();
    items.map(|item| item["title"].as_str().expect("a title").to_owned()).collect()
}

#[test]
fn each_file_is_transcribed_once_and_says_what_came_of_it() {
    let (folder, served) = (Folder::new(), Folder::new());
    let mut program = Program::sandbox(served.path(), &[]);
    let address = program.address();
    let to = format!("http://{address}");
    put(&folder, "First \"talk\".wav", speech::WAV);
    put(&folder, "empty.wav", b"");
    put(&folder, "second.wav", b"no sound");
    let files = ["First \"talk\".wav", "empty.wav", "missing.wav", "second.wav", "--to", &to];
    let sent = upload(&folder, &files);
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert_eq!(sent.stdout.len(), 2, "{sent:?}");
    assert!(sent.stdout[0].starts_with(&format!("First \"talk\".wav: sent, {to}/items/")), "{sent:?}");
    assert_eq!(sent.stderr[0], "empty.wav: the file is empty");
    assert!(sent.stderr[1].starts_with("missing.wav: No such file"), "{sent:?}");
    assert_eq!(titles(&address), ["First \"talk\"", "second"]);

    // Sent again, also under another name, it is the same upload.
    put(&folder, "again.wav", speech::WAV);
    let again = upload(&folder, &["again.wav", "--to", &to]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.stdout[0].starts_with("again.wav: already here, as \"First \"talk\"\", "), "{again:?}");
    let address_of = |line: &str| line.rsplit(' ').next().expect("an address").to_owned();
    assert_eq!(address_of(&again.stdout[0]), address_of(&sent.stdout[0]));
    put(&folder, "third.wav", b"silence");
    let titled = upload(&folder, &["third.wav", "--title", "Ward round", "--to", &to]);
    assert_eq!(titled.code, Some(0), "{titled:?}");
    assert_eq!(titles(&address), ["First \"talk\"", "second", "Ward round"]);
    for wrong in [&["again.wav", "third.wav", "--title", "Both"][..], &["--watch", ".", "--title", "All"]] {
        let refused = upload(&folder, wrong);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr[0].contains("--title") && refused.stderr[0].contains("one file"), "{refused:?}");
    }
    let refused = upload(&folder, &["again.wav", "--to", &to, "--keyterms", "one two three four five six seven"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr[0].starts_with("again.wav: the key term"), "{refused:?}");
}

#[test]
fn a_file_whose_connection_fails_is_sent_again() {
    let (folder, served) = (Folder::new(), Folder::new());
    put(&folder, "talk.wav", speech::WAV);
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").to_string();
    let to = format!("http://{free}");
    let mut sending = Program::start(folder.path(), &["upload", "talk.wav", "--to", &to], &[]);
    sending.wait_for_log("cannot be reached");
    let mut program = Program::start(
        served.path(),
        &["--sandbox"],
        &[("BIND_ADDR", &free), ("SANDBOX_TWILIO_ADDR", "127.0.0.1:0"), ("SANDBOX_ASSEMBLYAI_ADDR", "127.0.0.1:0")],
    );
    program.address();
    sending.wait_for_output("talk.wav: ");
    assert_eq!(sending.end().code, Some(0));
    assert_eq!(titles(&free), ["talk"]);
}

#[test]
fn who_waits_learns_what_came_of_each_file() {
    let (folder, served) = (Folder::new(), Folder::new());
    let mut program = Program::sandbox(served.path(), &[]);
    let address = program.address();
    let to = format!("http://{address}");
    put(&folder, "talk.wav", speech::WAV);
    put(&folder, "empty.wav", b"");
    let waited = upload(&folder, &["talk.wav", "--wait", "--tag", "Spring", "--to", &to]);
    assert_eq!((waited.code, &*waited.stdout[1]), (Some(0), "talk.wav: transcribed"), "{waited:?}");
    let listed = request(&address, "GET", "/items?tag=Spring", "");
    assert!(listed.contains("\"title\":\"talk\""), "{listed}");
    let failed = upload(&folder, &["talk.wav", "empty.wav", "--wait", "--to", &to]);
    assert_eq!((failed.code, &*failed.stdout[1]), (Some(1), "talk.wav: transcribed"), "{failed:?}");
}

/// Reads a request from a connection, and answers it. Returns its head.
fn answer(listener: &TcpListener, status: &str, headers: &str, body: &str) -> String {
    let (mut stream, _) = listener.accept().expect("a connection");
    let (mut read, mut piece) = (Vec::new(), [0; 1 << 16]);
    let head = loop {
        let length = stream.read(&mut piece).expect("bytes");
        assert_ne!(length, 0, "the request is whole");
        read.extend(&piece[..length]);
        let text = String::from_utf8_lossy(&read).to_lowercase();
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        let whole = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if read.len() >= head.len() + 4 + whole.unwrap_or(0) {
            break head.to_owned();
        }
    };
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).expect("a write");
    head
}

#[test]
fn a_file_whose_connection_breaks_goes_on_where_the_program_has_it() {
    let folder = Folder::new();
    put(&folder, "talk.wav", &vec![7; 6 << 20]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let to = format!("http://{}", listener.local_addr().expect("an address"));
    let program = thread::spawn(move || {
        let state = |offset: usize, state: &str| {
            format!(
                r#"{{"offset":{offset},"state":"{state}","reason":null,"item":"/items/1","title":"T","was_there":false}}"#
            )
        };
        let file = "Location: /uploads/1\r\n";
        let busy = r#"{"type":"urn:callscribe:problem:under-way","detail":"the database is busy"}"#;
        vec![
            answer(&listener, "201 Created", file, ""),
            answer(&listener, "204 No Content", "Upload-Offset: 4194304\r\n", ""),
            answer(&listener, "503 Service Unavailable", "", busy),
            answer(&listener, "200 OK", "", &state(5_000_000, "receiving")),
            answer(&listener, "204 No Content", "Upload-Offset: 6291456\r\n", ""),
            answer(&listener, "200 OK", "", &state(6_291_456, "ordered")),
        ]
    });
    let sent = upload(&folder, &["talk.wav", "--to", &to]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(sent.stderr, ["talk.wav: the database is busy; sending it again in 1 s"]);
    assert_eq!(sent.stdout, [format!("talk.wav: sent, {to}/items/1")]);
    let asked = program.join().expect("all was asked");
    let offsets = asked.iter().flat_map(|head| head.lines().find_map(|line| line.strip_prefix("upload-offset: ")));
    assert_eq!(offsets.collect::<Vec<_>>(), ["0", "4194304", "5000000"]);
}

#[test]
fn new_files_of_a_watched_folder_are_sent() {
    let (folder, served) = (Folder::new(), Folder::new());
    let mut program = Program::sandbox(served.path(), &[]);
    let address = program.address();
    let to = format!("http://{address}");
    put(&folder, "unfinished.wav.part", speech::WAV);
    put(&folder, "old.wav", b"was there before");
    put(&folder, ".hidden.wav", speech::WAV);
    let mut watching = Program::start(folder.path(), &["upload", "--watch", ".", "--to", &to], &[]);
    watching.wait_for_output("watching .");
    put(&folder, "first.wav", speech::WAV);
    watching.wait_for_output("first.wav: ");
    put(&folder, "second.wav", b"no sound");
    watching.wait_for_output("second.wav: ");
    assert_eq!(titles(&address), ["first", "second"]);
}

#[test]
fn what_cannot_be_understood_is_refused() {
    for (arguments, expected) in [
        (&["upload"][..], "upload: expected files to send, or --watch with a folder"),
        (&["upload", "a.wav", "--to"], "--to: missing; expected a value after it"),
        (&["upload", "a.wav", "--to", "calls.example.com"], "--to: expected the URL of a callscribe that runs"),
        (&["upload", "a.wav", "--to", "http://calls.example.com", "--token", "t"], "--to: expected https://"),
        (&["upload", "a.wav", "--tokn=secret"], "--tokn: unknown option"),
        (&["upload", "--watch", "nowhere"], "--watch: cannot be read"),
        (&["upload", "--watch", ".", "--wait"], "--wait: not together with --watch"),
    ] {
        let ended = Program::start(Folder::new().path(), arguments, &[]).end();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr[0].starts_with(expected) && !ended.all().contains("secret"), "{ended:?}");
    }
}

#[test]
fn the_command_has_help_of_its_own() {
    let helped = upload(&Folder::new(), &["--help"]);
    assert_eq!((helped.code, helped.stderr.len()), (Some(0), 0), "{helped:?}");
    assert!(helped.all().contains("Usage: callscribe upload FILE…") && helped.all().contains("--wait"), "{helped:?}");
}
