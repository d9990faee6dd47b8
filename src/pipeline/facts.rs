//! Reads the facts that decide what may be done with a call.

use crate::model::call::{Call, CallName};
use crate::model::job::JobKind;
use crate::model::standing::Facts;
use crate::store::{self, Conn};

/// Returns `None` if no call has this name.
pub(super) async fn read(conn: &mut Conn, name: &CallName) -> Result<Option<Facts>, store::Error> {
    match conn.call(name).await? {
        Some(call) => of(conn, call).await.map(Some),
        None => Ok(None),
    }
}

/// The facts of a call that was just read.
pub async fn of(conn: &mut Conn, call: Call) -> Result<Facts, store::Error> {
    let id = call.id.as_str();
    Ok(Facts {
        recordings: conn.recordings_of(&call.id).await?,
        transcripts: conn.transcripts_of(&call.id).await?,
        following: conn.job_state(JobKind::Call, id).await?.map(|job| job.status),
        deleting: conn.job_state(JobKind::Deletion, id).await?.map(|job| job.status),
        call,
    })
}
