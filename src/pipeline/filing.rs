//! What the operator calls an upload, and what calls and uploads are filed under, as somebody changes it later.

use std::sync::Arc;

use super::Error;
use super::task::run_to_end;
use crate::context::Shared;
use crate::failpoint::Commit;
use crate::model::call::{Call, CallName, Kind};
use crate::model::name::Name;

/// What is changed. `Some(None)` takes it away.
#[derive(Debug, Default)]
pub struct Change {
    /// Only uploads have one.
    pub title: Option<Option<Name>>,
    pub tag: Option<Option<Name>>,
}

/// Changes the title of an upload, or the tag of a call or an upload. Returns what it is afterwards.
pub async fn change(context: &Shared, name: &CallName, Change { title, tag }: Change) -> Result<Call, Error> {
    let mut conn = context.store.read().await?;
    let call = conn.call(name).await?.ok_or_else(|| Error::NoSuchCall(name.as_str().to_owned()))?;
    if call.deletion.is_some() {
        return Err(Error::Deleted);
    }
    if title.is_some() && call.kind != Kind::Upload {
        return Err(Error::NotAnUpload);
    }
    let tag = match tag {
        Some(Some(tag)) => Some(Some(conn.known_tag(&tag).await?)),
        other => other,
    };
    drop(conn);
    let shared = Arc::clone(context);
    run_to_end(context, async move {
        let (context, call, title, tag) = (&shared, &call, title.as_ref(), tag.as_ref());
        let changed = context.store.write(Commit::FileItem, call.id.as_str(), |mut tx| async move {
            let now = context.clock.now_ms();
            if let Some(title) = title {
                tx.set_title(call, title.as_ref(), now).await?;
            }
            if let Some(tag) = tag {
                tx.set_tag(&call.id, tag.as_ref(), now).await?;
            }
            Ok((tx, ()))
        });
        changed.await?;
        context.events.changed(call.id.as_str());
        let stored = context.store.read().await?.call(&call.id.clone().into()).await?;
        let stored = stored.ok_or_else(|| Error::NoSuchCall(call.id.to_string()))?;
        // Nothing of one that is deleted meanwhile is changed.
        if stored.deletion.is_some() { Err(Error::Deleted) } else { Ok(stored) }
    })
    .await
}
