//! Reading a call from a row with the [columns](super::columns) of a call.

use super::engine::Row;
use super::error::Error;
use crate::model::call::{Call, CallState, Deletion, Direction, Kind};
use crate::model::keyterms::Keyterms;
use crate::model::price::Price;

/// Reads a price that may be unknown.
fn price(row: &Row) -> Result<Option<Price>, Error> {
    let (millionths, unit) = (row.int_if_set("price_millionths")?, row.text_if_set("price_unit")?);
    Ok(millionths.zip(unit).map(|(millionths, unit)| Price { millionths, unit }))
}

pub(super) fn call(row: &Row) -> Result<Call, Error> {
    let keyterms: Vec<String> =
        serde_json::from_str(&row.text("keyterms")?).map_err(|_| Error::Unreadable("keyterms"))?;
    let sid = row.text_if_set("sid")?.map(|sid| sid.parse()).transpose();
    let contact = row.text_if_set("contact")?.map(|name| name.parse()).transpose();
    let tag = row.text_if_set("tag")?.map(|tag| tag.parse()).transpose();
    let title = row.text_if_set("title")?.map(|title| title.parse()).transpose();
    let file_name = row.text_if_set("file_name")?.map(|name| name.parse()).transpose();
    let import = row.text_if_set("import")?.map(|id| id.parse()).transpose();
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
        title: title.map_err(|_| Error::Unreadable("calls.title"))?,
        file_name: file_name.map_err(|_| Error::Unreadable("calls.file_name"))?,
        import: import.map_err(|_| Error::Unreadable("calls.import"))?,
        state: CallState::named(&row.text("state")?).ok_or(Error::Unreadable("calls.state"))?,
        reason: row.text_if_set("reason")?,
        code: row.int_if_set("code")?,
        deletion: deletion?,
        created_at: row.int("created_at")?,
        ended_at: row.int_if_set("ended_at")?,
        checked_at: row.int_if_set("checked_at")?,
        price: price(row)?,
    })
}
