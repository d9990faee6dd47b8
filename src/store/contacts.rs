//! The contacts. The name of the contact at the other end of a call is read with each call, so that it is the same
//! everywhere and never out of date.

use super::conn::{Conn, args};
use super::engine::Row;
use super::error::Error;
use crate::model::call::Call;
use crate::model::contact::{CONTACTS, Contact};
use crate::model::name::Name;
use crate::model::phone::PhoneNumber;
use crate::model::recording::RecordingSid;
use crate::model::search::folded;
use crate::model::vocabulary::Scope;

/// Contacts whose calls a search finds by a name. Of a name that more have, the first are found.
pub(super) const MOST_NAMED: i64 = 100;

impl Conn {
    /// The contact with this number.
    pub async fn contact(&mut self, number: &PhoneNumber) -> Result<Option<Contact>, Error> {
        let sql = "SELECT number, name, notes FROM contacts WHERE number = $1";
        match self.fetch_one(sql, args![number.to_string().as_str()]).await? {
            Some(row) => Ok(Some(self.contact_in(&row).await?)),
            None => Ok(None),
        }
    }

    /// The contact at the other end of a call.
    pub async fn contact_of(&mut self, call: &Call) -> Result<Option<Contact>, Error> {
        match call.party().and_then(|party| party.parse().ok()) {
            Some(number) => self.contact(&number).await,
            None => Ok(None),
        }
    }

    /// The name of the contact of the call that this records, or the title of the upload.
    pub async fn contact_of_recording(&mut self, sid: &RecordingSid) -> Result<Option<Name>, Error> {
        let sql = "SELECT coalesce(contacts.name, calls.title) AS name FROM recordings JOIN calls ON calls.id = call_id
                   LEFT JOIN contacts ON number = CASE WHEN direction = 'outbound' THEN to_number ELSE from_number END
                   WHERE recordings.sid = $1";
        let row = self.fetch_one(sql, args![sid.as_str()]).await?;
        let name = row.map_or(Ok(None), |row| row.text_if_set("name"))?;
        name.map(|name| name.parse()).transpose().map_err(|_| Error::Unreadable("contacts.name"))
    }

    /// The contacts in the order of their names, without case and accents; with `after`, those that follow this one.
    pub async fn contacts(&mut self, after: Option<&Contact>, limit: i64) -> Result<Vec<Contact>, Error> {
        let (folded_name, number) = match after {
            Some(after) => (folded(after.name.as_str()), after.number.to_string()),
            None => (String::new(), String::new()),
        };
        let sql = "SELECT number, name, notes FROM contacts WHERE (folded_name, number) > ($1, $2)
                   ORDER BY folded_name, number LIMIT $3";
        let mut contacts = Vec::new();
        for row in self.fetch(sql, args![folded_name.as_str(), number.as_str(), limit]).await? {
            contacts.push(self.contact_in(&row).await?);
        }
        Ok(contacts)
    }

    /// Stores a contact in place of the one that has its number. Its key terms become the terms of its scope in the
    /// vocabulary, by `by`.
    pub(crate) async fn put_contact(&mut self, contact: &Contact, by: &str, now: i64) -> Result<(), Error> {
        let (number, name) = (contact.number.to_string(), contact.name.as_str());
        let (folded_name, notes) = (folded(name), contact.notes.as_str());
        let (number, folded_name) = (number.as_str(), folded_name.as_str());
        let sql = "INSERT INTO contacts (number, name, folded_name, keyterms, notes, created_at, updated_at)
                   VALUES ($1, $2, $3, '[]', $4, $5, $5)
                   ON CONFLICT (number) DO UPDATE SET name = $2, folded_name = $3, notes = $4, updated_at = $5";
        self.execute(sql, args![number, name, folded_name, notes, now]).await?;
        self.put_active_terms(&Scope::Contact(contact.number.clone()), &contact.keyterms, by, now).await?;
        self.note_changed(CONTACTS, now).await
    }

    /// Deletes a contact with its terms. Its calls stay.
    pub(crate) async fn delete_contact(&mut self, number: &PhoneNumber, now: i64) -> Result<(), Error> {
        self.delete_scope(&Scope::Contact(number.clone()), now).await?;
        let sql = "DELETE FROM contacts WHERE number = $1";
        self.execute(sql, args![number.to_string().as_str()]).await?;
        self.note_changed(CONTACTS, now).await
    }

    /// Reads a contact from its row, and its key terms from the vocabulary.
    async fn contact_in(&mut self, row: &Row) -> Result<Contact, Error> {
        let number: PhoneNumber = row.text("number")?.parse().map_err(|_| Error::Unreadable("contacts.number"))?;
        let keyterms = self.active_terms_of(&Scope::Contact(number.clone())).await?;
        let notes = row.text("notes")?.parse().map_err(|_| Error::Unreadable("contacts.notes"))?;
        Ok(Contact { number, name: name(row)?, keyterms, notes })
    }

    /// The numbers and names of the contacts whose names match this pattern of terms.
    pub(super) async fn contacts_named(&mut self, pattern: &str) -> Result<Vec<(String, String)>, Error> {
        let sql = "SELECT number, name FROM contacts WHERE folded_name LIKE $1 ORDER BY folded_name, number LIMIT $2";
        let rows = self.fetch(sql, args![pattern, MOST_NAMED]).await?;
        rows.iter().map(|row| Ok((row.text("number")?, row.text("name")?))).collect()
    }
}

fn name(row: &Row) -> Result<Name, Error> {
    row.text("name")?.parse().map_err(|_| Error::Unreadable("contacts.name"))
}
