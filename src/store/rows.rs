//! Reading a call from a row with the [columns](super::columns) of a call.

use super::engine::Row;
use super::error::Error;
use crate::model::call::{Call, CallState, Deletion, Direction, Kind};
use crate::model::keyterms::Keyterms;

pub(super) fn call(row: &Row) -> Result<Call, Error> {
    let keyterms: Vec<String> =
        serde_json::from_str(&row.text("keyterms")?).map_err(|_| Error::Unreadable("keyterms"))?;
    let sid = row.text_if_set("sid")?.map(|sid| sid.parse()).transpose();
    let contact = row.text_if_set("contact")?.map(|name| name.parse()).transpose();
    let tag = row.text_if_set("tag")?.map(|tag| tag.parse()).transpose();
    let deletion = row.text_if_set("deletion")?;
    let deletion = deletion.map(|word| Deletion::named(&word).ok_or(Error::Unreadable("calls.deletion"))).transpose();
    Ok(Call {
        id: row.text("id")?.parse().map_err(|_| Error::Unreadable("calls.id"))?,
        sid: sid.map_err(|_| Error::Unreadable("calls.sid"))?,
        direction: Direction::named(&row.text("direction")?).unwrap_or(Direction::Unknown),
        kind: Kind::named(&row.text("kind")?).ok_or(Error::Unreadable("calls.kind"))?,
        operator: row.text_if_set("operator_number")?,
        to: row.text_if_set("to_number")?,
        from: row.text_if_set("from_number")?,
        contact: contact.map_err(|_| Error::Unreadable("contacts.name"))?,
        keyterms: Keyterms::from_terms(keyterms),
        tag: tag.map_err(|_| Error::Unreadable("calls.tag"))?,
        state: CallState::named(&row.text("state")?).ok_or(Error::Unreadable("calls.state"))?,
        reason: row.text_if_set("reason")?,
        code: row.int_if_set("code")?,
        deletion: deletion?,
        created_at: row.int("created_at")?,
        ended_at: row.int_if_set("ended_at")?,
        checked_at: row.int_if_set("checked_at")?,
    })
}
