//! A real Chromium with a window, on its own display, operated by key presses alone. It knows nothing of the program.
//!
//! Chromium, Xvfb and xdotool are not part of the build. If one of them is missing, there is no browser.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::command::Folder;
use super::front::GIVEN_UP;

/// Milliseconds between two keys, as a person types. Chromium learns nothing from faster typing.
const PACE: &str = "90";

/// Flags that make Chromium start immediately, even as root, and connect only to this computer.
const FLAGS: [&str; 13] = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--password-store=basic",
    "--no-proxy-server",
    "--allow-pre-commit-input", // keys count from the start
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
];

/// A window. Closed when it is dropped.
pub(crate) struct Browser {
    chromium: Child,
    display: Child,
    name: String,
    _profile: Folder,
}

/// Whether all programs are installed that a browser needs. With `REQUIRE_BROWSER=1` a missing one is a failure.
pub(crate) fn is_there() -> bool {
    let missing: Vec<&str> = ["chromium", "Xvfb", "xdotool"].into_iter().filter(|program| !finds(program)).collect();
    let how = format!("there is no {}", missing.join(", no "));
    let is_required = std::env::var_os("REQUIRE_BROWSER").is_some_and(|value| value == "1");
    assert!(missing.is_empty() || !is_required, "{how}");
    if !missing.is_empty() {
        println!("skipped: {how}");
    }
    missing.is_empty()
}

/// Whether a program is in the path.
pub(crate) fn finds(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

impl Browser {
    /// Opens the URL in a new window with a new profile.
    pub(crate) async fn open(url: &str) -> Self {
        let url = url.to_owned();
        tokio::task::spawn_blocking(move || Self::start(&url)).await.expect("a browser that starts")
    }

    fn start(url: &str) -> Self {
        let mut xvfb = Command::new("Xvfb");
        xvfb.args(["-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp"]);
        let mut display = xvfb.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("Xvfb can be run");
        let mut number = String::new();
        BufReader::new(display.stdout.take().expect("a pipe")).read_line(&mut number).expect("a display's number");
        let name = format!(":{}", number.trim());

        let profile = Folder::new();
        let mut chromium = Command::new("chromium");
        chromium.args(FLAGS).arg(format!("--user-data-dir={}", profile.path().display())).arg(url);
        chromium.env("DISPLAY", &name).env("HOME", profile.path());
        // Its own process group, so that all of its processes can be killed at once.
        chromium.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let chromium = chromium.spawn().expect("chromium can be run");
        Self { chromium, display, name, _profile: profile }
    }

    /// Waits until the window shows a page whose title starts with `title`, and focuses the window, because no window
    /// manager does.
    pub(crate) async fn shows(&self, title: &str) {
        let title = format!("^{title}");
        let look = ["search", "--sync", "--onlyvisible", "--name", &title, "windowfocus", "--sync"];
        let begun = Instant::now();
        // xdotool fails if any window is closed while it looks at it.
        while let Err(error) = self.try_xdotool(&look).await {
            assert!(error.contains("BadWindow") && begun.elapsed() < GIVEN_UP, "{error}");
        }
    }

    /// Types the text into the address bar, without Enter.
    pub(crate) async fn type_address(&self, text: &str) {
        self.press("ctrl+l").await;
        self.type_on(text).await;
    }

    /// Types the text where the last one was typed.
    pub(crate) async fn type_on(&self, text: &str) {
        self.xdotool(&["type", "--delay", PACE, text]).await;
    }

    /// Presses a key.
    pub(crate) async fn press(&self, key: &str) {
        self.xdotool(&["key", key]).await;
    }

    async fn xdotool(&self, arguments: &[&str]) {
        self.try_xdotool(arguments).await.expect("xdotool does it");
    }

    async fn try_xdotool(&self, arguments: &[&str]) -> Result<(), String> {
        let mut xdotool = Command::new("xdotool");
        xdotool.args(arguments).env("DISPLAY", &self.name).stdin(Stdio::null());
        // In a thread, because this one serves the pages meanwhile.
        let running = tokio::task::spawn_blocking(move || xdotool.output());
        let ended = tokio::time::timeout(GIVEN_UP, running).await;
        let ended = ended.unwrap_or_else(|_| panic!("in vain: xdotool {}", arguments.join(" ")));
        let output = ended.expect("a thread that does not panic").expect("xdotool can be run");
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The shell's built-in kill: a small system has no other.
        let group = format!("kill -KILL -{}", self.chromium.id());
        _ = Command::new("sh").args(["-c", &group]).status();
        _ = self.display.kill();
        _ = self.chromium.wait();
        _ = self.display.wait();
    }
}
