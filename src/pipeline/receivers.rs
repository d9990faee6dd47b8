//! What operators do with the receivers of webhooks, and with what was sent to them.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::error::Error;
use super::job::ms;
use super::task::run_to_end;
use crate::context::{Context, Shared};
use crate::failpoint::Commit;
use crate::model::receiver::{MOST_RECEIVERS, ReceiverId, ReceiverSource, ReceiverState};
use crate::model::signing_secret::SigningSecret;
use crate::store::{Conn, Delivery, Receiver};

/// How long the secret before a new one still signs.
const ROTATION: Duration = Duration::from_hours(24);

/// Why a receiver of the settings is paused.
const NOT_LISTED: &str = "WEBHOOKS does not name it any more";

/// Stores the receivers of `WEBHOOKS`. What goes to one with another secret is also signed
/// with the one before it, for a day. Those that are not listed any
/// more are paused: another instance may have a newer list, so nothing that waits for them fails.
pub async fn store_settings(context: &Shared, listed: &[(String, SigningSecret)]) -> Result<(), Error> {
    let known = context.store.read().await?.receivers().await?;
    let is_stored = |(url, secret): &(String, SigningSecret)| {
        let is_it = |one: &Receiver| one.url == *url && one.secret == *secret && one.source == ReceiverSource::Setting;
        known.iter().any(is_it)
    };
    let of_setting = known.iter().filter(|one| one.source == ReceiverSource::Setting).count();
    if listed.iter().all(is_stored) && of_setting == listed.len() {
        return Ok(());
    }
    context
        .store
        .write(Commit::StoreReceiver, "settings", |mut tx| async move {
            let now = context.clock.now_ms();
            for (url, secret) in listed {
                let Some(known) = tx.receiver_by_url(url).await? else {
                    tx.add_receiver(url, secret, ReceiverSource::Setting, "WEBHOOKS", now).await?;
                    continue;
                };
                if known.secret != *secret {
                    tx.rotate_secret(known.id, secret, now + ms(ROTATION), now).await?;
                }
                tx.set_source_of_receiver(known.id, ReceiverSource::Setting).await?;
                if known.reason.as_deref() == Some(NOT_LISTED) {
                    tx.set_state_of_receiver(known.id, ReceiverState::Enabled, None).await?;
                }
            }
            for known in tx.receivers().await? {
                if known.source == ReceiverSource::Setting && listed.iter().all(|(url, _)| *url != known.url) {
                    tx.set_source_of_receiver(known.id, ReceiverSource::Page).await?;
                    if known.state == ReceiverState::Enabled {
                        tx.set_state_of_receiver(known.id, ReceiverState::Paused, Some(NOT_LISTED)).await?;
                        tracing::warn!(receiver = %known.id, "paused a receiver of webhooks: {NOT_LISTED}");
                    }
                }
            }
            Ok((tx, ()))
        })
        .await?;
    Ok(())
}

/// Adds a receiver with a new secret.
pub async fn add(context: &Shared, url: &str, by: String) -> Result<(Receiver, SigningSecret), Error> {
    let url = context.webhooks.reach.parse(url.trim())?.to_string();
    let secret = SigningSecret::random();
    let shared = Arc::clone(context);
    run_to_end(context, async move {
        let (url, secret, by) = (&url, &secret, &by);
        let added = shared.store.write(Commit::StoreReceiver, url, |mut tx| {
            let now = shared.clock.now_ms();
            async move {
                let all = tx.receivers().await?;
                let known = all.iter().find(|one| one.url == *url).cloned();
                if known.is_none() && all.len() < MOST_RECEIVERS {
                    tx.add_receiver(url, secret, ReceiverSource::Page, by, now).await?;
                }
                let added = tx.receiver_by_url(url).await?;
                Ok((tx, added))
            }
        });
        let receiver = added.await?.ok_or(Error::TooManyReceivers(MOST_RECEIVERS))?;
        // Another one has another secret, which nobody sees again.
        if receiver.secret == *secret { Ok((receiver, secret.clone())) } else { Err(Error::SameReceiver) }
    })
    .await
}

/// Enables a receiver or pauses it.
pub async fn change(context: &Shared, id: ReceiverId, state: ReceiverState) -> Result<Receiver, Error> {
    let shared = Arc::clone(context);
    run_to_end(context, async move {
        let subject = Uuid::new_v4().to_string();
        let changed = shared.store.write(Commit::StoreReceiver, &subject, |mut tx| async move {
            tx.set_state_of_receiver(id, state, None).await?;
            let changed = tx.receiver(id).await?;
            Ok((tx, changed))
        });
        changed.await?.ok_or_else(|| Error::NoSuchReceiver(id))
    })
    .await
}

/// Signs with a new secret, and for a day also with the one before it.
pub async fn rotate(context: &Shared, id: ReceiverId) -> Result<SigningSecret, Error> {
    let shared = Arc::clone(context);
    let secret = SigningSecret::random();
    run_to_end(context, async move {
        let (secret, now) = (&secret, shared.clock.now_ms());
        not_of_setting(&shared, id, "another secret there is used for a day with this one").await?;
        let subject = Uuid::new_v4().to_string();
        let rotated = shared.store.write(Commit::StoreReceiver, &subject, |mut tx| async move {
            tx.rotate_secret(id, secret, now + ms(ROTATION), now).await?;
            Ok((tx, ()))
        });
        rotated.await?;
        Ok(secret.clone())
    })
    .await
}

/// Removes a receiver. What still waits for it is not sent.
pub async fn remove(context: &Shared, id: ReceiverId) -> Result<(), Error> {
    let shared = Arc::clone(context);
    run_to_end(context, async move {
        not_of_setting(&shared, id, "remove it there, and start callscribe again").await?;
        let subject = Uuid::new_v4().to_string();
        let removed = shared.store.write(Commit::StoreReceiver, &subject, |mut tx| {
            let now = shared.clock.now_ms();
            async move {
                tx.end_receiver(id, ReceiverState::Removed, "the receiver was removed", now).await?;
                Ok((tx, ()))
            }
        });
        Ok(removed.await?)
    })
    .await
}

/// Sends a delivery again.
pub async fn resend(context: &Shared, id: &str) -> Result<Delivery, Error> {
    let (shared, id) = (Arc::clone(context), id.to_owned());
    run_to_end(context, async move {
        let mut conn = shared.store.read().await?;
        let delivery = &conn.delivery(&id).await?.ok_or_else(|| Error::NoSuchDelivery(id.clone()))?;
        let receiver = conn.receiver(delivery.receiver).await?;
        drop(conn);
        let can_receive = receiver.is_some_and(|receiver| receiver.state != ReceiverState::Disabled);
        if !can_receive {
            return Err(Error::ReceiverIsOff);
        }
        let sent = shared.store.write(Commit::Resend, &id, |mut tx| {
            let now = shared.clock.now_ms();
            async move {
                tx.resend(delivery, now).await?;
                let delivery = tx.delivery(&delivery.id).await?;
                Ok((tx, delivery))
            }
        });
        sent.await?.ok_or_else(|| Error::NoSuchDelivery(id.clone()))
    })
    .await
}

/// Fails if there is no such receiver, or if only its setting can change it.
async fn not_of_setting(context: &Context, id: ReceiverId, instead: &'static str) -> Result<(), Error> {
    let receiver = get(&mut context.store.read().await?, id).await?;
    if receiver.source == ReceiverSource::Setting { Err(Error::ReceiverOfSetting(instead)) } else { Ok(()) }
}

/// Returns a receiver.
pub async fn get(conn: &mut Conn, id: ReceiverId) -> Result<Receiver, Error> {
    conn.receiver(id).await?.ok_or_else(|| Error::NoSuchReceiver(id))
}
