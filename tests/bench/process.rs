//! A server as a process of its own: the program, or the bare server, with its log in a file.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::command::{ENOUGH, Folder, with};

/// Tells this very program to be the bare server, at which address.
pub(crate) const BARE: &str = "LOAD_BARE_SERVER";

/// The file with what the bare server answers: a whole answer as it is sent.
pub(crate) const ANSWER: &str = "answer";

/// A server that runs until it is dropped, with a folder of its own.
pub(crate) struct Process {
    child: Child,
    pub(crate) folder: Folder,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// The program, allowed to open so many files, with these settings over those that are enough.
    pub(crate) fn program(files: Option<u32>, settings: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let database = format!("sqlite://{}", folder.path().join("callscribe.db").display());
        let own = with(&ENOUGH, &[("DATABASE_URL", &database)]);
        let mut command = command(files, Path::new(env!("CARGO_BIN_EXE_callscribe")), &folder);
        let mut child = command.envs(with(&own, settings)).stdout(Stdio::piped()).spawn().expect("a program");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let address = lines.filter_map(|line| line.strip_prefix("listening at http://")?.parse().ok()).next();
        Self { child, folder, address: address.expect("the program listens") }
    }

    /// The bare server.
    pub(crate) async fn bare() -> Self {
        Self::bare_with(b"HTTP/1.1 200 OK\r\n\r\n").await
    }

    /// The bare server, which answers so at `/answer`.
    pub(crate) async fn bare_with(answer: &[u8]) -> Self {
        let folder = Folder::new();
        fs::write(folder.path().join(ANSWER), answer).expect("a file");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        drop(listener);
        let own = std::env::current_exe().expect("the path of this program");
        let child = command(None, &own, &folder).env(BARE, address.to_string()).spawn().expect("a program");
        let process = Self { child, folder, address };
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::task::yield_now().await;
        }
        process
    }

    /// The URL of the program's store.
    pub(crate) fn database(&self) -> String {
        format!("sqlite://{}", self.folder.path().join("callscribe.db").display())
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("a log")
    }

    /// Memory that it holds, in megabytes.
    pub(crate) fn memory(&self) -> f64 {
        self.megabytes("VmRSS:")
    }

    /// The most that it has held so far.
    pub(crate) fn peak_memory(&self) -> f64 {
        self.megabytes("VmHWM:")
    }

    fn megabytes(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).map_or(f64::NAN, |kib| kib / 1e3 * 1.024)
    }

    /// Sockets that it holds open.
    pub(crate) fn sockets(&self) -> usize {
        let files = fs::read_dir(format!("/proc/{}/fd", self.child.id())).into_iter().flatten().flatten();
        let targets = files.filter_map(|file| fs::read_link(file.path()).ok());
        targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().is_ok_and(|status| status.success()));
    }

    /// Kills it, and gives its folder.
    pub(crate) fn kill(mut self) -> Folder {
        _ = self.child.kill();
        _ = self.child.wait();
        std::mem::replace(&mut self.folder, Folder::new())
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }
}

/// `program` in this folder, its log in the file `log`, with no environment yet.
fn command(files: Option<u32>, program: &Path, folder: &Folder) -> Command {
    let limit = files.map(|files| format!("ulimit -n {files}; ")).unwrap_or_default();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{limit}exec \"$0\"")]).arg(program).current_dir(folder.path()).env_clear();
    let log = fs::File::create(folder.path().join("log")).expect("a file");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
