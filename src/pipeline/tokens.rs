//! What operators do with named tokens, and recognizing one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;

use super::error::Error;
use super::task::run_to_end;
use crate::context::Shared;
use crate::failpoint::Commit;
use crate::model::name::Name;
use crate::model::named_token::{MOST_TOKENS, NamedToken, Rights, TokenId};
use crate::store::{self, TOKENS};

/// Milliseconds for which a further use of a token is not stored.
const NOTED_EVERY: i64 = 60_000;

/// Stores a token with this hash.
pub async fn make(context: &Shared, name: Name, rights: Rights, hash: String, by: String) -> Result<NamedToken, Error> {
    let shared = Arc::clone(context);
    run_to_end(context, async move {
        let (name, by, hash) = (&name, &by, &hash);
        let made = shared.store.write(Commit::StoreToken, hash, |mut tx| {
            let now = shared.clock.now_ms();
            async move {
                let count = tx.tokens().await?.len();
                let made = tx.token_by_hash(hash).await?;
                if made.is_some() || count >= MOST_TOKENS {
                    return Ok((tx, (count, made)));
                }
                let made = tx.add_token(name, rights, hash, by, now).await?;
                Ok((tx, (count, made)))
            }
        });
        match made.await? {
            (_, Some(made)) => Ok(made),
            (count, None) if count >= MOST_TOKENS => Err(Error::TooManyTokens(MOST_TOKENS)),
            (_, None) => Err(Error::SameToken(name.to_string())),
        }
    })
    .await
}

/// Revokes a token, from this moment on. What it streams ends.
pub async fn revoke(context: &Shared, id: TokenId) -> Result<(), Error> {
    let shared = Arc::clone(context);
    run_to_end(context, async move {
        let subject = id.to_string();
        // If the outcome of the commit is unknown, the transaction runs again and finds that its work is done.
        let (was_there, now) = (&AtomicBool::new(false), shared.clock.now_ms());
        let revoked = shared.store.write(Commit::RevokeToken, &subject, |mut tx| async move {
            was_there.fetch_or(tx.revoke_token(id, now).await?, Ordering::Relaxed);
            Ok((tx, ()))
        });
        revoked.await?;
        shared.events.changed(TOKENS);
        if was_there.load(Ordering::Relaxed) { Ok(()) } else { Err(Error::NoSuchToken(id)) }
    })
    .await
}

/// Returns the token with this id.
pub async fn get(context: &Shared, id: TokenId) -> Result<NamedToken, Error> {
    context.store.read().await?.token(id).await?.ok_or(Error::NoSuchToken(id))
}

/// Returns the token with this hash, and stores that it is used.
pub async fn recognize(context: &Shared, hash: &str) -> Result<Option<NamedToken>, store::Error> {
    let Some(token) = context.store.read().await?.token_by_hash(hash).await? else { return Ok(None) };
    let now = context.clock.now_ms();
    if token.used_at.is_none_or(|at| now - at >= NOTED_EVERY) {
        note_use(context, token.id, now);
    }
    Ok(Some(token))
}

/// Stores that a token is used, if nothing else of that kind is being stored. No request waits for it.
fn note_use(context: &Shared, id: TokenId, now: i64) {
    static TURN: Semaphore = Semaphore::const_new(1);
    let Ok(turn) = TURN.try_acquire() else { return };
    let shared = Arc::clone(context);
    context.tasks.spawn(async move {
        let subject = id.to_string();
        let noted = shared.store.write_unsynced(Commit::UseToken, &subject, |mut tx| async move {
            tx.note_use_of_token(id, now).await?;
            Ok((tx, ()))
        });
        if let Err(error) = noted.await {
            tracing::warn!("the use of a token is not stored: {error}");
        }
        drop(turn);
    });
}
