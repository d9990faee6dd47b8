//! The real program as a child process, in its own folder, with only the environment that a test sets.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use callscribe::sandbox::{assemblyai, twilio};

/// Settings that suffice to start, on a free port, with vendors that nobody reaches.
pub(crate) const ENOUGH: [(&str, &str); 8] = [
    ("TWILIO_ACCOUNT_SID", twilio::ACCOUNT_SID),
    ("TWILIO_AUTH_TOKEN", twilio::AUTH_TOKEN),
    ("TWILIO_PHONE_NUMBER", twilio::PHONE_NUMBER),
    ("BASE_URL", "https://callscribe.invalid"),
    ("ASSEMBLYAI_KEY", assemblyai::API_KEY),
    ("BIND_ADDR", "127.0.0.1:0"),
    ("TWILIO_API_URL", "http://127.0.0.1:1"),
    ("ASSEMBLYAI_API_URL", "http://127.0.0.1:1"),
];

/// Settings of a sandbox on free ports.
pub(crate) const SANDBOX: [(&str, &str); 3] =
    [("BIND_ADDR", "127.0.0.1:0"), ("SANDBOX_TWILIO_ADDR", "127.0.0.1:0"), ("SANDBOX_ASSEMBLYAI_ADDR", "127.0.0.1:0")];

/// How the line starts that says where the program listens.
const LISTENING: &str = "listening at http://";

/// The settings `some`, overridden by `others`.
pub(crate) fn with<'a>(some: &[(&'a str, &'a str)], others: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = some.iter().filter(|(name, _)| !others.iter().any(|(other, _)| other == name));
    kept.chain(others).copied().collect()
}

/// A new folder outside the repository, with no `.env` above it. Removed when it is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("callscribe-test-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The files in it.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).expect("the folder");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }

    /// Writes a file. Returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a file");
        path.to_str().expect("a path in UTF-8").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Out,
    Err,
}

/// The running program. Killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<(Stream, String)>,
    /// Lines that arrived while a test waited for another one.
    unread: VecDeque<(Stream, String)>,
    /// How many of them were searched for a line on standard output, and on standard error.
    looked_through: [usize; 2],
    stdout: Vec<String>,
    stderr: Vec<String>,
}

/// How the program ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

impl Program {
    pub(crate) fn start(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callscribe"));
        command.args(arguments);
        Self::run(command, folder, environment)
    }

    /// Starts the program as a process that may open only this many files.
    pub(crate) fn start_with_few_files(folder: &Path, environment: &[(&str, &str)], files: usize) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {files}; exec \"$0\""), env!("CARGO_BIN_EXE_callscribe")]);
        Self::run(command, folder, environment)
    }

    /// Starts the program with a variable whose value may be any bytes.
    pub(crate) fn start_with_bytes(folder: &Path, environment: &[(&str, &str)], name: &str, value: &[u8]) -> Self {
        let mut command = Command::new("sh");
        let escaped: String = value.iter().map(|byte| format!("\\{byte:03o}")).collect();
        let script = format!("{name}=$(printf '{escaped}') exec \"$0\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_callscribe")]);
        Self::run(command, folder, environment)
    }

    fn run(command: Command, folder: &Path, environment: &[(&str, &str)]) -> Self {
        let (mut program, sender) = Self::spawn(command, folder, environment);
        send_lines(program.child.stdout.take().expect("a pipe"), Stream::Out, sender);
        program
    }

    /// Starts the program and stops reading its standard output once it listens. Also returns the first address.
    pub(crate) fn start_unheard(folder: &Path, environment: &[(&str, &str)]) -> (Self, String) {
        let (mut program, _) = Self::spawn(Command::new(env!("CARGO_BIN_EXE_callscribe")), folder, environment);
        let mut lines = BufReader::new(program.child.stdout.take().expect("a pipe")).lines();
        let address = lines.find_map(|line| line.expect("text").strip_prefix(LISTENING).map(str::to_owned));
        (program, address.expect("the program listens"))
    }

    fn spawn(mut command: Command, folder: &Path, environment: &[(&str, &str)]) -> (Self, Sender<(Stream, String)>) {
        command.current_dir(folder).env_clear().envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be run");
        let (sender, lines) = channel();
        send_lines(child.stderr.take().expect("a pipe"), Stream::Err, sender.clone());
        (
            Self {
                child,
                lines,
                unread: VecDeque::new(),
                looked_through: [0; 2],
                stdout: Vec::new(),
                stderr: Vec::new(),
            },
            sender,
        )
    }

    /// Starts it with `--sandbox`, on free ports.
    pub(crate) fn sandbox(folder: &Path, settings: &[(&str, &str)]) -> Self {
        Self::start(folder, &["--sandbox"], &with(&SANDBOX, settings))
    }

    /// Waits until it listens. Returns the first address.
    pub(crate) fn address(&mut self) -> String {
        let line = self.wait_for(Stream::Out, LISTENING);
        line[LISTENING.len()..].to_owned()
    }

    /// Waits for a line on standard output that contains the text.
    pub(crate) fn wait_for_output(&mut self, text: &str) -> String {
        self.wait_for(Stream::Out, text)
    }

    /// Waits for a line on standard error that contains the text.
    pub(crate) fn wait_for_log(&mut self, text: &str) -> String {
        self.wait_for(Stream::Err, text)
    }

    fn wait_for(&mut self, stream: Stream, text: &str) -> String {
        loop {
            // The line may have arrived on this stream while the test waited for the other one.
            while let Some((of, line)) = self.unread.get(self.looked_through[stream as usize]) {
                self.looked_through[stream as usize] += 1;
                if *of == stream && line.contains(text) {
                    return line.clone();
                }
            }
            match self.lines.recv() {
                Ok(line) => self.unread.push_back(line),
                Err(_) => break,
            }
        }
        panic!("the program ended without saying {text:?}; it said {:?}", self.unread)
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        // The shell's built-in kill: a small system has no other.
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(status.is_ok_and(|status| status.success()), "the signal is sent");
    }

    /// The command line, as every other user of this computer can see it.
    #[cfg(target_os = "linux")]
    pub(crate) fn command_line(&self) -> String {
        let path = format!("/proc/{}/cmdline", self.child.id());
        String::from_utf8_lossy(&fs::read(path).expect("a process that runs")).replace('\0', " ")
    }

    /// Its peak memory since the last `reset_peak_memory`, or since its start, in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> u64 {
        self.figure("status", "VmHWM:") * 1_024
    }

    /// Makes its peak memory what it has in memory now.
    #[cfg(target_os = "linux")]
    pub(crate) fn reset_peak_memory(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").expect("a process that runs");
    }

    /// The bytes that it has sent to storage so far, including files that it has removed since.
    #[cfg(target_os = "linux")]
    pub(crate) fn bytes_written(&self) -> u64 {
        self.figure("io", "write_bytes:")
    }

    #[cfg(target_os = "linux")]
    fn figure(&self, file: &str, name: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).expect("a process that runs");
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line of this name");
        line.split_whitespace().next().and_then(|figure| figure.parse().ok()).expect("a figure")
    }

    /// Waits for its end.
    pub(crate) fn end(self) -> Ended {
        self.end_unless(|_| false)
    }

    /// Waits for its end. Fails if it listens before that.
    pub(crate) fn refused(self) -> Ended {
        self.end_unless(|line| line.starts_with(LISTENING))
    }

    /// Waits until it listens or ends. Returns `None` if it listens.
    pub(crate) fn listens_or_ends(mut self) -> Option<Ended> {
        while let Ok(line) = self.lines.recv() {
            if line.0 == Stream::Out && line.1.starts_with(LISTENING) {
                return None;
            }
            self.unread.push_back(line);
        }
        Some(self.end())
    }

    fn end_unless(mut self, is_wrong: impl Fn(&str) -> bool) -> Ended {
        while let Some((stream, line)) = self.unread.pop_front().or_else(|| self.lines.recv().ok()) {
            assert!(!is_wrong(&line), "the program must end, but prints {line:?}");
            match stream {
                Stream::Out => self.stdout.push(line),
                Stream::Err => self.stderr.push(line),
            }
        }
        let code = self.child.wait().expect("a child").code();
        Ended { code, stdout: std::mem::take(&mut self.stdout), stderr: std::mem::take(&mut self.stderr) }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Ended {
    /// Everything that was printed.
    pub(crate) fn all(&self) -> String {
        [&self.stdout[..], &self.stderr[..]].concat().join("\n")
    }
}

fn send_lines(pipe: impl Read + Send + 'static, stream: Stream, sender: Sender<(Stream, String)>) {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send((stream, line)).is_err() {
                return;
            }
        }
    });
}

/// Forwards connections: the public address of a program whose own port is not known yet.
pub(crate) async fn tunnel(entrance: tokio::net::TcpListener, exit: String) {
    while let Ok((mut from, _)) = entrance.accept().await {
        let exit = exit.clone();
        tokio::spawn(async move {
            let mut to = tokio::net::TcpStream::connect(exit).await.expect("the program listens");
            tokio::io::copy_bidirectional(&mut from, &mut to).await
        });
    }
}

/// Sends one request over a new connection. Returns the whole response.
pub(crate) fn request(address: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("bytes are taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
