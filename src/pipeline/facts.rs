//! Reads the facts that decide what may be done with a call.

use crate::model::call::Call;
use crate::model::job::JobKind;
use crate::model::standing::Facts;
use crate::store::{self, Conn};

/// The facts of a call that was just read, with what was said.
pub async fn of(conn: &mut Conn, call: Call) -> Result<Facts, store::Error> {
    let mut facts = without_words(conn, call).await?;
    facts.transcripts = conn.transcripts_of(&facts.call.id).await?;
    Ok(facts)
}

/// The facts of a call that was just read, without the JSON and text of its transcripts. The jobs are read first: what a
/// job has committed before its end is then in what is read after it, and no call seems to have ended without the
/// transcript that its job has just requested.
pub async fn without_words(conn: &mut Conn, call: Call) -> Result<Facts, store::Error> {
    let following = conn.job_state(JobKind::Call, call.id.as_str()).await?.map(|job| job.status);
    let deleting = conn.job_state(JobKind::Deletion, call.id.as_str()).await?.map(|job| job.status);
    let legs = if call.may_have_legs() { conn.legs_of(&call.id).await? } else { Vec::new() };
    let recordings = conn.recordings_of(&call.id).await?;
    let transcripts = conn.orders_of(&call.id).await?;
    Ok(Facts { call, legs, recordings, transcripts, following, deleting })
}
