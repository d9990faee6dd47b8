//! The places where a crash hurts most, by name, so that tests can let the program die there. Without the feature
//! `failpoints` they are nothing at all.
//!
//! | point | where |
//! |---|---|
//! | C1, C2 | before and after the commit of the intent to dial |
//! | C3, C4 | `POST Calls` was sent; its answer was read, the SID not committed |
//! | C5 | the SID is committed |
//! | C6, C7 | a finished recording's callback: before and after the commit |
//! | C8 | a job is claimed |
//! | C9, C10 | the audio: the first piece is there; the last one is |
//! | C11, C12 | the upload: its first piece is on its way; all of it was sent |
//! | C13 | the upload's address was read, not committed |
//! | C14 | the intent to order a transcript is committed |
//! | C15, C16 | `POST transcript` was sent; its id was read, not committed |
//! | C17 | AssemblyAI's webhook, before the commit |
//! | C18 | a finished transcript was read, not committed |
//! | C19 | that a call is to be deleted is committed, and no vendor was asked to |

/// A step that ends where it is, as if the program had died. It is taken up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ended at a failpoint")]
pub struct Aborted;

/// Comes to a point in the work on this subject.
///
/// # Errors
/// If the step is to end here.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn reach(_: &'static str, _: &str) -> Result<(), Aborted> {
    Ok(())
}

#[cfg(feature = "failpoints")]
pub use armed::{arm, reach};

#[cfg(feature = "failpoints")]
mod armed {
    use std::collections::HashSet;
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::time::Duration;

    use super::Aborted;

    enum Plan {
        /// At this point, the n-th time, the thread says so on standard error and stands still until it is killed.
        Stop { point: String, left: Mutex<u32> },
        /// Every step ends once at each point, for each subject, and must come through the next time.
        AbortOnce(Mutex<HashSet<(&'static str, String)>>),
    }

    static PLAN: OnceLock<Plan> = OnceLock::new();

    /// Takes `C4:stop`, `C4:stop:3` for the third time, or `all:abort-once`.
    ///
    /// # Panics
    /// If it is none of these.
    pub fn arm(plan: &str) {
        let parts: Vec<&str> = plan.split(':').collect();
        let plan = match parts[..] {
            ["all", "abort-once"] => Plan::AbortOnce(Mutex::default()),
            [point, "stop"] => Plan::Stop { point: point.to_owned(), left: Mutex::new(1) },
            [point, "stop", times] => {
                let left = times.parse().expect("FAIL=<point>:stop:<number>");
                Plan::Stop { point: point.to_owned(), left: Mutex::new(left) }
            }
            _ => panic!("expected FAIL=<point>:stop[:<number>] or FAIL=all:abort-once"),
        };
        // Armed once for the life of the process; every later call says the same.
        let _ = PLAN.set(plan);
    }

    /// Comes to a point in the work on this subject.
    ///
    /// # Errors
    /// If the step is to end here.
    pub fn reach(point: &'static str, subject: &str) -> Result<(), Aborted> {
        match PLAN.get() {
            None => Ok(()),
            Some(Plan::AbortOnce(seen)) => {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                if seen.insert((point, subject.to_owned())) { Err(Aborted) } else { Ok(()) }
            }
            Some(Plan::Stop { point: planned, left }) if planned == point => {
                let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
                *left = left.saturating_sub(1);
                if *left > 0 {
                    return Ok(());
                }
                // Holding the lock: whoever comes here next stands still as well.
                eprintln!("failpoint {point}");
                loop {
                    std::thread::sleep(Duration::from_secs(3_600));
                }
            }
            Some(Plan::Stop { .. }) => Ok(()),
        }
    }
}
