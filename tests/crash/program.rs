//! The real program as a child process that can be killed, with its output.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::watch;

/// The lines of an output stream.
#[derive(Clone)]
struct Lines {
    all: Arc<Mutex<Vec<String>>>,
    count: watch::Sender<usize>,
}

/// The program, running until it is killed.
pub(crate) struct Program {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    readers: Vec<JoinHandle<()>>,
}

impl Lines {
    fn read(pipe: impl Read + Send + 'static) -> (Self, JoinHandle<()>) {
        let lines = Self { all: Arc::default(), count: watch::Sender::new(0) };
        let reading = lines.clone();
        let reader = thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                reading.all.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                reading.count.send_modify(|count| *count += 1);
            }
            // The stream has ended. A caller that still waits for a line runs into its deadline.
        });
        (lines, reader)
    }

    /// Waits for a matching line. Returns `false` after the deadline.
    async fn has(&self, matches: impl Fn(&str) -> bool, deadline: Duration) -> bool {
        let mut count = self.count.subscribe();
        let found =
            count.wait_for(|_| self.all.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|l| matches(l)));
        tokio::time::timeout(deadline, found).await.is_ok()
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.all.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Program {
    pub(crate) fn start(folder: &Path, environment: &[(String, String)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callscribe"));
        command.current_dir(folder).env_clear().envs(environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be run");
        let (stdout, out) = Lines::read(child.stdout.take().expect("a pipe"));
        let (stderr, err) = Lines::read(child.stderr.take().expect("a pipe"));
        Self { child, stdout, stderr, readers: vec![out, err] }
    }

    /// Waits until the program prints its address. Returns `false` after the deadline.
    pub(crate) async fn listens(&self, deadline: Duration) -> bool {
        self.stdout.has(|line| line.starts_with("listening at http://"), deadline).await
    }

    /// Waits until the program stops at this failpoint. Returns `false` after the deadline.
    pub(crate) async fn stops_at(&self, point: &str, deadline: Duration) -> bool {
        let message = format!("failpoint {point}");
        self.stderr.has(|line| line == message, deadline).await
    }

    /// Sends SIGKILL. Returns the lines of standard error.
    pub(crate) fn kill(mut self) -> Vec<String> {
        _ = self.child.kill();
        self.ended().1
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        // The shell's built-in `kill`, because small systems have no other.
        _ = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
    }

    /// Sends SIGTERM, and SIGKILL after the deadline. Returns the exit status and the lines of standard error.
    pub(crate) async fn terminate(mut self, deadline: Duration) -> (Option<ExitStatus>, Vec<String>) {
        self.signal("TERM");
        // Its output ends with the program.
        let readers = std::mem::take(&mut self.readers);
        let mut output = tokio::task::spawn_blocking(|| readers.into_iter().for_each(|reader| _ = reader.join()));
        if tokio::time::timeout(deadline, &mut output).await.is_err() {
            _ = self.child.kill();
            _ = output.await;
        }
        self.ended()
    }

    fn ended(&mut self) -> (Option<ExitStatus>, Vec<String>) {
        let status = self.child.wait().ok();
        for reader in self.readers.drain(..) {
            _ = reader.join();
        }
        (status, self.stderr.take())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
