//! `callscribe upload`: sends files to a callscribe that runs, which transcribes them. They are sent in pieces: a file whose
//! connection breaks continues where it was.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use secrecy::SecretString;
use tokio::time::Instant;
use url::Url;

use crate::clients::is_local;
use crate::clients::program::{NotSent, Program, Progress, Sent, State};
use crate::config::{Problem, operator_token};

/// Where callscribe listens by default.
const HERE: &str = "http://localhost:8000";

/// The pauses before a file is sent on after its connection broke, in seconds.
const PAUSES: [u64; 7] = [1, 2, 4, 8, 16, 30, 60];

/// How often a watched folder is read.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Pauses after which a watched file is sent again that could not be sent: the first one, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// How often somebody who waits asks what became of a file.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Bytes that are sent of a file at once.
const PIECE: usize = 4 << 20;

const HELP: &str = "\
Sends files to a callscribe that runs, which transcribes them. A file whose connection breaks continues where it was.

Usage: callscribe upload FILE… [OPTIONS]

Options:
      --to URL         where callscribe runs (default http://localhost:8000)
      --token TOKEN    its OPERATOR_TOKEN, which may also be in the environment
      --keyterms LIST  names and terms that must be spelled right, separated by commas
      --title TITLE    what to call the upload, if it is one file
      --tag TAG        what to file the uploads under
      --wait           wait for the transcripts, and print whether each is done
      --watch FOLDER   go on and send each new file of FOLDER
  -h, --help           print this help

Exit code: 0 if all files were taken and, with --wait, transcribed; 1 if not; 2 if the options cannot be understood.
";

/// Ends of the names of files that another program has not finished.
const UNFINISHED: [&str; 4] = ["part", "crdownload", "download", "tmp"];

struct Options {
    files: Vec<PathBuf>,
    to: Url,
    token: Option<SecretString>,
    fields: Fields,
    wait: bool,
    watch: Option<PathBuf>,
}

/// What is sent with each file.
#[derive(Default)]
struct Fields {
    keyterms: Option<String>,
    title: Option<String>,
    tag: Option<String>,
}

/// The size of a file, and when it was last written.
type Seen = (u64, i64, i64);

/// Runs the command with the arguments after its name. Prints a line for each file. Returns whether all were taken, and
/// transcribed if it waits for that; with `--watch`, it does not return.
pub async fn run(arguments: impl Iterator<Item = OsString>) -> Result<bool, Problem> {
    let Some(Options { files, to, token, fields, wait, watch }) = Options::read(arguments)? else {
        print(HELP);
        return Ok(true);
    };
    let program = Program::new(to, token);
    let (mut is_good, mut taken) = (true, Vec::new());
    for file in &files {
        match send(&program, file, &fields, &mut None).await {
            Outcome::Taken(item) => taken.push((file, item)),
            Outcome::Refused | Outcome::NotSent => is_good = false,
        }
    }
    if wait {
        for (file, item) in &taken {
            is_good &= is_transcribed(&program, file, item).await;
        }
    }
    let Some(folder) = watch else { return Ok(is_good) };
    // What is there already is not new.
    let mut done = finished(&folder).map_err(|error| problem("--watch", format!("cannot be read: {error}")))?;
    let mut before = done.clone();
    let mut unsent: HashMap<PathBuf, Unsent> = HashMap::new();
    print(&format!("watching {}: new files are sent\n", folder.display()));
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        let now = match finished(&folder) {
            Ok(now) => now,
            Err(error) => {
                eprintln!("{}: cannot be read: {error}", folder.display());
                continue;
            }
        };
        for (file, seen) in &now {
            // A file that still grows waits.
            if before.get(file) != Some(seen) || done.get(file) == Some(seen) {
                continue;
            }
            let mut last = unsent.remove(file).filter(|last| last.seen == *seen).unwrap_or_else(|| Unsent::new(*seen));
            if last.next > Instant::now() {
                unsent.insert(file.clone(), last);
            } else if let Outcome::Taken(_) = send(&program, file, &fields, &mut last.at).await {
                done.insert(file.clone(), *seen);
            } else {
                // Whatever the reason was may pass.
                last.next = Instant::now() + last.pause;
                last.pause = (last.pause * 2).min(LONGEST_PAUSE);
                unsent.insert(file.clone(), last);
            }
        }
        before = now;
    }
}

/// Returns the files in a folder that nobody is writing, as far as their names tell.
fn finished(folder: &Path) -> io::Result<HashMap<PathBuf, Seen>> {
    let mut files = HashMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let is_unfinished =
            path.extension().is_some_and(|end| UNFINISHED.iter().any(|one| end.eq_ignore_ascii_case(one)));
        // A file may go between the two.
        if let (false, false, Ok(data)) = (is_hidden, is_unfinished, fs::metadata(&path))
            && data.is_file()
            && data.len() > 0
        {
            files.insert(path, (data.len(), data.mtime(), data.mtime_nsec()));
        }
    }
    Ok(files)
}

/// A file of a watched folder that could not be sent.
struct Unsent {
    seen: Seen,
    /// Where the program has what it got of it.
    at: Option<String>,
    /// When it is sent again, and how long after that it is the next time.
    next: Instant,
    pause: Duration,
}

impl Unsent {
    fn new(seen: Seen) -> Self {
        Self { seen, at: None, next: Instant::now(), pause: FIRST_PAUSE }
    }
}

/// Whether the program took a file.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// With the path of its page.
    Taken(String),
    Refused,
    /// The program was not there, or the connection broke each time.
    NotSent,
}

/// Sends a file, and continues it if the connection breaks, or where an earlier time has begun. Prints its address, or why it has
/// none.
async fn send(program: &Program, path: &Path, fields: &Fields, at: &mut Option<String>) -> Outcome {
    let name = path.display();
    let mut file = match open(path) {
        Ok(file) => file,
        Err(error) => {
            eprintln!("{name}: {error}");
            return Outcome::Refused;
        }
    };
    file.at = at.take();
    let mut pauses = PAUSES.iter();
    loop {
        let before = file.offset;
        let sent = send_on(program, &mut file, fields).await;
        at.clone_from(&file.at);
        if file.offset > before {
            pauses = PAUSES.iter();
        }
        match sent {
            Ok(Sent { item: Some(item), title, was_there, .. }) => {
                let address = program.address(&item).map(|address| address.to_string()).unwrap_or_default();
                let said = match (was_there, title) {
                    (false, _) => "sent".to_owned(),
                    (true, Some(title)) => format!("already here, as \"{title}\""),
                    (true, None) => "already here".to_owned(),
                };
                print(&format!("{name}: {said}, {address}\n"));
                return Outcome::Taken(item);
            }
            Ok(Sent { reason, .. }) => {
                eprintln!("{name}: {}", reason.as_deref().unwrap_or("callscribe there does not say what became of it"));
                return Outcome::Refused;
            }
            Err(why @ (NotSent::Again(_) | NotSent::Gone)) if let Some(pause) = pauses.next() => {
                if matches!(why, NotSent::Gone) {
                    file.at = None;
                    *at = None;
                }
                eprintln!("{name}: {why}; sending it again in {pause} s");
                tokio::time::sleep(Duration::from_secs(*pause)).await;
            }
            Err(why) => {
                eprintln!("{name}: {why}");
                return if matches!(why, NotSent::Refused(_)) { Outcome::Refused } else { Outcome::NotSent };
            }
        }
    }
}

/// A file, and how much of it the program has.
struct Sending {
    file: File,
    /// Its name, as the program gets it.
    name: String,
    length: u64,
    /// Where the program has it, once it has begun.
    at: Option<String>,
    offset: u64,
}

fn open(path: &Path) -> io::Result<Sending> {
    let file = File::open(path)?;
    let data = file.metadata()?;
    if !data.is_file() {
        return Err(io::Error::other("expected a file"));
    }
    if data.len() == 0 {
        return Err(io::Error::other("the file is empty"));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Sending { file, name, length: data.len(), at: None, offset: 0 })
}

/// Sends what the program lacks of a file, and waits until the program has sent it on.
async fn send_on(program: &Program, sending: &mut Sending, fields: &Fields) -> Result<Sent, NotSent> {
    let known = match &sending.at {
        Some(at) => Some(program.sent(at, false).await?),
        None => None,
    };
    let at = match (&known, &sending.at) {
        (Some(_), Some(at)) => at.clone(),
        _ => {
            let all = [("keyterms", &fields.keyterms), ("title", &fields.title), ("tag", &fields.tag)];
            let given: Vec<(&str, &str)> =
                all.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
            program.begin(&sending.name, sending.length, &given).await?
        }
    };
    sending.offset = known.as_ref().map_or(0, |known| known.offset);
    sending.at = Some(at.clone());
    if known.is_none_or(|known| matches!(known.state, State::Receiving | State::Failed)) {
        // After the last byte, an empty piece tries again what has failed.
        loop {
            let length = usize::try_from(sending.length - sending.offset).unwrap_or(PIECE).min(PIECE);
            let mut piece = vec![0; length];
            let read = sending.file.read_exact_at(&mut piece, sending.offset);
            read.map_err(|error| NotSent::Refused(format!("the file cannot be read any more: {}", error.kind())))?;
            sending.offset = program.append(&at, sending.offset, Bytes::from(piece)).await?.min(sending.length);
            show(&sending.name, sending.offset, sending.length);
            if sending.offset == sending.length {
                break;
            }
        }
    }
    loop {
        let sent = program.sent(&at, true).await?;
        if sent.state != State::Sending {
            return Ok(sent);
        }
    }
}

/// Shows on a terminal how far a file is.
fn show(name: &str, sent: u64, length: u64) {
    if io::stderr().is_terminal() {
        let end = if sent == length { "\n" } else { "" };
        _ = write!(io::stderr(), "\r{name}: {}%{end}", sent * 100 / length);
    }
}

/// Waits for the transcript of an upload. Prints that it is done, or why it failed. Returns `true` if it is done.
async fn is_transcribed(program: &Program, path: &Path, item: &str) -> bool {
    let name = path.display();
    let mut pauses = PAUSES.iter();
    loop {
        match program.item(item).await {
            Ok(found) if found.progress == Progress::Done => {
                print(&format!("{name}: transcribed\n"));
                return true;
            }
            Ok(found) if found.progress == Progress::Transcribing => {
                pauses = PAUSES.iter();
                tokio::time::sleep(ASK_AGAIN).await;
            }
            Ok(found) => {
                eprintln!("{name}: not transcribed: {}", found.reason().unwrap_or("its page says why"));
                return false;
            }
            Err(NotSent::Again(_)) if let Some(pause) = pauses.next() => {
                tokio::time::sleep(Duration::from_secs(*pause)).await;
            }
            Err(why) => {
                eprintln!("{name}: not transcribed: {why}");
                return false;
            }
        }
    }
}

impl Options {
    /// Returns `None` if somebody asks for help.
    fn read(mut arguments: impl Iterator<Item = OsString>) -> Result<Option<Self>, Problem> {
        let (mut files, mut to, mut token, mut watch) = (Vec::new(), None, None, None);
        let (mut fields, mut wait) = (Fields::default(), false);
        while let Some(argument) = arguments.next() {
            let option = match argument.to_str() {
                Some(option) if option.starts_with('-') => option.to_owned(),
                _ => {
                    files.push(PathBuf::from(argument));
                    continue;
                }
            };
            let mut value = || arguments.next().ok_or_else(|| problem(&option, "missing; expected a value after it"));
            match option.as_str() {
                "--to" => to = Some(text(&option, value()?)?),
                "--token" => token = Some(SecretString::from(text(&option, value()?)?)),
                "--keyterms" => fields.keyterms = Some(text(&option, value()?)?),
                "--title" => fields.title = Some(text(&option, value()?)?),
                "--tag" => fields.tag = Some(text(&option, value()?)?),
                "--wait" => wait = true,
                "-h" | "--help" => return Ok(None),
                "--watch" => watch = Some(PathBuf::from(value()?)),
                _ => {
                    // The value after = may be a secret.
                    let name = option.split('=').next().unwrap_or_default();
                    return Err(problem(name, "unknown option; callscribe upload --help lists all options"));
                }
            }
        }
        if files.is_empty() && watch.is_none() {
            return Err(problem("upload", "expected files to send, or --watch with a folder"));
        }
        if wait && watch.is_some() {
            return Err(problem("--wait", "not together with --watch, which does not end"));
        }
        if fields.title.is_some() && (files.len() != 1 || watch.is_some()) {
            return Err(problem("--title", "expected one file, because a title is that of one upload"));
        }
        let expected = "expected the URL of a callscribe that runs, such as https://calls.example.com";
        let to = to.unwrap_or_else(|| HERE.to_owned());
        let mut to: Url = to.parse().map_err(|_| problem("--to", expected))?;
        if !matches!(to.scheme(), "http" | "https") || !to.has_host() {
            return Err(problem("--to", expected));
        }
        if !to.path().ends_with('/') {
            to.set_path(&format!("{}/", to.path()));
        }
        // That of a .env file is the token of the callscribe here, and nobody else's.
        let token = token.or_else(|| operator_token(is_local(&to)));
        if token.is_some() && to.scheme() == "http" && !is_local(&to) {
            return Err(problem("--to", "expected https://, because others could read the token on its way"));
        }
        Ok(Some(Self { files, to, token, fields, wait, watch }))
    }
}

fn text(option: &str, value: OsString) -> Result<String, Problem> {
    value.into_string().map_err(|_| problem(option, "expected UTF-8"))
}

fn problem(name: &str, text: impl Into<String>) -> Problem {
    Problem::new(name, text)
}

/// Ignores a closed standard output.
fn print(text: &str) {
    _ = io::stdout().write_all(text.as_bytes());
}
