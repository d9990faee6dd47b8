//! Logging out: ends sessions on all instances.

use std::sync::Arc;

use super::Error;
use super::task::run_to_end;
use crate::context::Shared;
use crate::failpoint::Commit;

/// Ends the sessions with these ids.
pub async fn log_out(context: &Shared, sessions: Vec<String>) -> Result<(), Error> {
    let shared = Arc::clone(context);
    let end = async move {
        let (context, sessions) = (&shared, &sessions);
        let subject = sessions.first().map_or("", String::as_str);
        context
            .store
            .write(Commit::EndSession, subject, |mut tx| async move {
                for session in sessions {
                    tx.end_session(session, context.clock.now_ms()).await?;
                }
                Ok((tx, ()))
            })
            .await?;
        Ok(())
    };
    run_to_end(context, end).await
}
