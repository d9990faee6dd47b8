//! Receivers of webhooks.

use super::conn::{Conn, args};
use super::engine::Row;
use super::error::Error;
use crate::model::receiver::{ReceiverId, ReceiverSource, ReceiverState};
use crate::model::signing_secret::SigningSecret;

/// A receiver that was not removed.
#[derive(Debug, Clone)]
pub struct Receiver {
    pub id: ReceiverId,
    pub url: String,
    pub(crate) secret: SigningSecret,
    /// The secrets before this one, the newest first, and until when they also sign, in milliseconds since 1970.
    pub(crate) old_secrets: Option<(Vec<SigningSecret>, i64)>,
    pub source: ReceiverSource,
    pub state: ReceiverState,
    /// Why it is disabled, or paused if nobody has paused it.
    pub reason: Option<String>,
    /// What it last answered, and when.
    pub answered: Option<(String, i64)>,
    pub made_at: i64,
    pub made_by: String,
}

impl Receiver {
    /// The secrets that sign at this time, the newest first.
    pub(crate) fn secrets(&self, now: i64) -> impl Iterator<Item = &SigningSecret> {
        let old = self.old_secrets.iter().filter(move |(_, until)| now < *until);
        std::iter::once(&self.secret).chain(old.flat_map(|(secrets, _)| secrets))
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT number, url, secret, old_secret, old_until, source, state, reason, answer, answered_at, made_at, made_by
             FROM receivers WHERE state <> 'removed'",
            $rest
        )
    };
}

impl Conn {
    /// All receivers, oldest first.
    pub async fn receivers(&mut self) -> Result<Vec<Receiver>, Error> {
        self.fetch(select!(" ORDER BY number"), args![]).await?.iter().map(receiver).collect()
    }

    /// How many deliveries wait for a receiver.
    pub async fn count_waiting(&mut self, id: ReceiverId) -> Result<i64, Error> {
        let sql = "SELECT count(*) AS waiting FROM deliveries WHERE receiver = $1 AND state = 'waiting'";
        self.fetch_one(sql, args![id.number()]).await?.map_or(Ok(0), |row| row.int("waiting"))
    }

    pub async fn receiver(&mut self, id: ReceiverId) -> Result<Option<Receiver>, Error> {
        self.fetch_one(select!(" AND number = $1"), args![id.number()]).await?.as_ref().map(receiver).transpose()
    }

    pub(crate) async fn receiver_by_url(&mut self, url: &str) -> Result<Option<Receiver>, Error> {
        self.fetch_one(select!(" AND url = $1"), args![url]).await?.as_ref().map(receiver).transpose()
    }

    /// Adds a receiver. Returns `false` if there is one with this URL.
    pub(crate) async fn add_receiver(
        &mut self,
        url: &str,
        secret: &SigningSecret,
        source: ReceiverSource,
        by: &str,
        now: i64,
    ) -> Result<bool, Error> {
        let sql = "INSERT INTO receivers (url, secret, source, state, made_at, made_by)
                   VALUES ($1, $2, $3, 'enabled', $4, $5) ON CONFLICT DO NOTHING";
        Ok(self.execute(sql, args![url, secret.text(), source.as_str(), now, by]).await? > 0)
    }

    pub(crate) async fn set_source_of_receiver(&mut self, id: ReceiverId, source: ReceiverSource) -> Result<(), Error> {
        self.execute("UPDATE receivers SET source = $2 WHERE number = $1", args![id.number(), source.as_str()])
            .await
            .map(drop)
    }

    /// Signs with another secret, and until a time also with those that sign now: nobody knows which of them the receiver has.
    pub(crate) async fn rotate_secret(
        &mut self,
        id: ReceiverId,
        secret: &SigningSecret,
        old_until: i64,
        now: i64,
    ) -> Result<(), Error> {
        let sql = "UPDATE receivers SET secret = $2, old_until = $3,
                   old_secret = CASE WHEN old_until > $4 THEN secret || ' ' || old_secret ELSE secret END
                   WHERE number = $1 AND state <> 'removed' AND secret <> $2";
        self.execute(sql, args![id.number(), secret.text(), old_until, now]).await.map(drop)
    }

    /// Deletes the secrets that sign no more.
    pub(crate) async fn forget_old_secrets(&mut self, now: i64) -> Result<(), Error> {
        let sql = "UPDATE receivers SET old_secret = NULL, old_until = NULL WHERE old_until <= $1";
        self.execute(sql, args![now]).await.map(drop)
    }

    /// Enables a receiver, or pauses it.
    pub(crate) async fn set_state_of_receiver(
        &mut self,
        id: ReceiverId,
        state: ReceiverState,
        reason: Option<&str>,
    ) -> Result<(), Error> {
        let sql = "UPDATE receivers SET state = $2, reason = $3 WHERE number = $1 AND state <> 'removed'";
        self.execute(sql, args![id.number(), state.as_str(), reason]).await.map(drop)
    }

    /// Disables or removes a receiver. What still waited for it has failed for this reason.
    pub(crate) async fn end_receiver(
        &mut self,
        id: ReceiverId,
        state: ReceiverState,
        reason: &str,
        now: i64,
    ) -> Result<(), Error> {
        let sql = "UPDATE receivers SET state = $2, reason = $3 WHERE number = $1 AND state <> 'removed'";
        self.execute(sql, args![id.number(), state.as_str(), reason]).await?;
        let sql = "UPDATE deliveries SET state = 'failed', answered_at = $2, status = NULL, answer = $3
                   WHERE receiver = $1 AND state = 'waiting'";
        self.execute(sql, args![id.number(), now, reason]).await?;
        if state == ReceiverState::Removed {
            let sql = "UPDATE receivers SET secret = '', old_secret = NULL, old_until = NULL WHERE number = $1";
            self.execute(sql, args![id.number()]).await?;
        }
        Ok(())
    }

    /// Stores what a receiver last answered.
    pub(crate) async fn note_answer(&mut self, id: ReceiverId, answer: &str, at: i64) -> Result<(), Error> {
        let sql = "UPDATE receivers SET answer = $2, answered_at = $3 WHERE number = $1";
        self.execute(sql, args![id.number(), answer, at]).await.map(drop)
    }
}

fn receiver(row: &Row) -> Result<Receiver, Error> {
    let secret = |text: &str| text.parse().map_err(|_| Error::Unreadable("receivers.secret"));
    let old_secrets = match (row.text_if_set("old_secret")?, row.int_if_set("old_until")?) {
        (Some(texts), Some(until)) => Some((texts.split(' ').map(secret).collect::<Result<_, _>>()?, until)),
        _ => None,
    };
    let answered = row.text_if_set("answer")?.zip(row.int_if_set("answered_at")?);
    Ok(Receiver {
        id: row.int("number")?.into(),
        url: row.text("url")?,
        secret: secret(&row.text("secret")?)?,
        old_secrets,
        source: ReceiverSource::named(&row.text("source")?).ok_or(Error::Unreadable("receivers.source"))?,
        state: ReceiverState::named(&row.text("state")?).ok_or(Error::Unreadable("receivers.state"))?,
        reason: row.text_if_set("reason")?,
        answered,
        made_at: row.int("made_at")?,
        made_by: row.text("made_by")?,
    })
}
