//! A server as a child process: the program, or the bare server, with its log in a file.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::command::{ENOUGH, Folder, with};

/// Environment variable that makes this benchmark the bare server, with its address.
pub(crate) const BARE: &str = "LOAD_BARE_SERVER";

/// The file with the bare server's response, including its head.
pub(crate) const ANSWER: &str = "answer";

/// A server process in a folder of its own, killed on drop.
pub(crate) struct Process {
    child: Child,
    pub(crate) folder: Folder,
    pub(crate) address: SocketAddr,
}

/// A free port of this computer.
pub(crate) fn free_address() -> String {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    free.expect("a free port").to_string()
}

impl Process {
    /// Starts the program with this limit of open files, and these settings on top of the required ones.
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

    /// Starts the program with its own address as `BASE_URL`: then no request from this computer waits until it is known
    /// whether strangers can come in.
    pub(crate) fn local(settings: &[(&str, &str)]) -> Self {
        let address = free_address();
        let url = format!("http://{address}");
        Self::program(None, &[settings, &[("BIND_ADDR", &address), ("BASE_URL", &url)]].concat())
    }

    /// Starts the bare server.
    pub(crate) async fn bare() -> Self {
        Self::bare_with(b"HTTP/1.1 200 OK\r\n\r\n").await
    }

    /// Starts the bare server with this response at `/answer`.
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

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("a log")
    }

    /// Its resident memory, in megabytes.
    pub(crate) fn memory(&self) -> f64 {
        self.megabytes("VmRSS:")
    }

    /// Its peak resident memory, in megabytes.
    pub(crate) fn peak_memory(&self) -> f64 {
        self.megabytes("VmHWM:")
    }

    fn megabytes(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).map_or(f64::NAN, |kib| kib / 1e3 * 1.024)
    }

    /// The number of its open sockets.
    pub(crate) fn sockets(&self) -> usize {
        let files = fs::read_dir(format!("/proc/{}/fd", self.child.id())).into_iter().flatten().flatten();
        let targets = files.filter_map(|file| fs::read_link(file.path()).ok());
        targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().is_ok_and(|status| status.success()));
    }

    /// Sends SIGKILL. Returns the folder.
    pub(crate) fn kill(mut self) -> Folder {
        _ = self.child.kill();
        _ = self.child.wait();
        std::mem::replace(&mut self.folder, Folder::new())
    }

    /// Its exit status, or `None` while it runs.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }
}

/// A command for `program` in this folder, with its log in the file `log` and an empty environment.
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
