//! The command line: reads flags and settings, starts the program, and stops it on a signal. SIGHUP reads the key terms'
//! file again.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::num::NonZero;
use std::process::ExitCode;

use callscribe::app::App;
use callscribe::config::{Config, Problem, settings};
use callscribe::{send, telemetry, wer};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code for wrong settings or flags.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let (mut sandbox, mut check) = (false, false);
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("wer") if !sandbox && !check => return measure(arguments),
            Some("upload") if !sandbox && !check => return send_files(arguments),
            Some("--sandbox") => sandbox = true,
            Some("check") => check = true,
            Some("-h" | "--help") => {
                print(&settings::help());
                return ExitCode::SUCCESS;
            }
            Some("-V" | "--version") => {
                print(concat!("callscribe ", env!("CARGO_PKG_VERSION"), "\n"));
                return ExitCode::SUCCESS;
            }
            _ => {
                // The value after = may be a secret given as an option by mistake.
                let name = argument.to_string_lossy();
                let name = name.split('=').next().unwrap_or_default();
                eprintln!("{name}: unknown option; callscribe --help lists all options");
                return ExitCode::from(EXIT_USAGE);
            }
        }
    }
    if check {
        return check_settings(sandbox);
    }
    let started = Config::from_environment(sandbox).and_then(|config| {
        let runtime =
            runtime().map_err(|error| vec![Problem::new("threads", format!("cannot be started: {error}"))])?;
        runtime.block_on(run(config)).map_err(|problem| vec![problem])
    });
    match started {
        Ok(()) => {
            telemetry::finish();
            ExitCode::SUCCESS
        }
        Err(problems) => {
            telemetry::finish();
            report(problems, sandbox)
        }
    }
}

fn report(problems: Vec<Problem>, sandbox: bool) -> ExitCode {
    for problem in problems {
        eprintln!("{problem}");
    }
    if !sandbox {
        eprintln!("try it without accounts: cargo run -- --sandbox");
    }
    ExitCode::from(EXIT_USAGE)
}

/// Prints how right a transcript is, given the arguments after `wer`.
fn measure(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match wer::run(arguments) {
        Ok(report) => {
            print(&report);
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// Sends files to a program that runs, given the arguments after `upload`.
fn send_files(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let sent = match runtime() {
        Ok(runtime) => runtime.block_on(send::run(arguments)),
        Err(error) => Err(Problem::new("threads", format!("cannot be started: {error}"))),
    };
    match sent {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// Prints whether the settings are right, without starting the program.
fn check_settings(sandbox: bool) -> ExitCode {
    let checked = Config::from_environment(sandbox).and_then(|config| {
        let runtime =
            runtime().map_err(|error| vec![Problem::new("threads", format!("cannot be started: {error}"))])?;
        for warning in &config.warnings {
            eprintln!("{warning}");
        }
        let checked = runtime.block_on(App::check(config));
        // A DNS lookup that takes long would otherwise keep the program from ending.
        runtime.shutdown_background();
        Ok(checked)
    });
    match checked {
        Ok(Some((text, is_good))) => {
            print(&text);
            if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Ok(None) => {
            eprintln!("check: the sandbox has no settings to check; leave out --sandbox");
            ExitCode::from(EXIT_USAGE)
        }
        Err(problems) => report(problems, sandbox),
    }
}

/// Returns a runtime with a thread per processor, and one for the store's writer, which blocks on the disk.
fn runtime() -> std::io::Result<Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    tokio::runtime::Builder::new_multi_thread().worker_threads(processors + 1).enable_all().build()
}

async fn run(config: Config) -> Result<(), Problem> {
    telemetry::start(&config.log);
    #[cfg(feature = "failpoints")]
    if let Some(plan) = callscribe::config::failpoints() {
        callscribe::failpoint::arm(&plan);
    }
    // Before anything is printed: a program that reads "listening" may send a signal at once.
    let failed = |_| Problem::new("signals", "cannot be handled");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    let has_terminal = std::io::stdin().is_terminal();

    let listeners = App::bind(&config.server)?;
    let app = tokio::select! {
        app = App::start(config, listeners) => app?,
        // Exits here, because dropping the runtime would wait for a running migration of SQLite.
        _ = terminate.recv() => exit(0),
        _ = interrupt.recv() => exit(0),
    };
    print(app.welcome());
    let print_links = async {
        loop {
            print(&app.log_in_link().await);
        }
    };
    let terminal_closed = async {
        loop {
            hangup.recv().await;
            // The system sends the same signal when the terminal closes, which ends the program.
            if has_terminal && !std::io::stdin().is_terminal() {
                return;
            }
            app.read_keyterms_again().await;
        }
    };
    let mut corruption = None;
    tokio::select! {
        () = print_links => {}
        () = terminal_closed => {}
        problem = app.corruption() => corruption = Some(problem),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping; a second signal stops at once");
    tokio::select! {
        // Exits here, because dropping the runtime would wait for running DNS lookups.
        () = app.stop() => match corruption {
            None => exit(0),
            Some(problem) => {
                telemetry::finish();
                eprintln!("{problem}");
                exit(EXIT_USAGE.into())
            }
        },
        _ = terminate.recv() => exit(1),
        _ = interrupt.recv() => exit(1),
    }
}

fn exit(code: i32) -> ! {
    telemetry::finish();
    std::process::exit(code)
}

/// Ignores a closed standard output.
fn print(text: &str) {
    _ = std::io::stdout().write_all(text.as_bytes());
}
