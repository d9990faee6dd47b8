//! Work that must come to its end even if the client that asked for it disconnects.

use tracing::Instrument;

use crate::context::Shared;

/// Runs a future in a task of its own, from this moment on, so that a closed browser tab leaves neither a call without a
/// record nor half a transaction. A graceful stop waits for it.
pub(super) fn run_to_end<T, E, F>(context: &Shared, task: F) -> impl Future<Output = Result<T, E>> + use<T, E, F>
where
    T: Send + 'static,
    E: From<Panicked> + Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let ended = context.tasks.spawn(task.in_current_span());
    // Nothing aborts the task, so a join error means that it panicked.
    async { ended.await.unwrap_or_else(|_| Err(Panicked.into())) }
}

/// The task panicked. The panic message is in the log.
#[derive(Debug)]
pub(super) struct Panicked;
