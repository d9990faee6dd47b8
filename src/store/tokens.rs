//! Tokens by name.

use super::conn::{Conn, args};
use super::engine::Row;
use super::error::Error;
use crate::model::name::Name;
use crate::model::named_token::{NamedToken, Right, Rights, TokenId};

/// What the history says has changed when a token was made or revoked.
pub const TOKENS: &str = "tokens";

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT number, name, rights, made_at, made_by, used_at FROM tokens WHERE revoked_at IS NULL", $rest)
    };
}

impl Conn {
    /// All tokens that were not revoked, oldest first.
    pub async fn tokens(&mut self) -> Result<Vec<NamedToken>, Error> {
        self.fetch(select!(" ORDER BY number"), args![]).await?.iter().map(token).collect()
    }

    /// The token with this SHA-256, in hex, unless it was revoked.
    pub async fn token_by_hash(&mut self, hash: &str) -> Result<Option<NamedToken>, Error> {
        self.fetch_one(select!(" AND hash = $1"), args![hash]).await?.as_ref().map(token).transpose()
    }

    /// Adds a token. Returns `None` if there is one with this name.
    pub(crate) async fn add_token(
        &mut self,
        name: &Name,
        rights: Rights,
        hash: &str,
        by: &str,
        now: i64,
    ) -> Result<Option<NamedToken>, Error> {
        let sql = "INSERT INTO tokens (name, rights, hash, made_at, made_by) VALUES ($1, $2, $3, $4, $5)
                   ON CONFLICT DO NOTHING";
        self.execute(sql, args![name.as_str(), rights.to_string().as_str(), hash, now, by]).await?;
        // Also after the commit of this very token, whose outcome was unknown.
        self.token_by_hash(hash).await
    }

    /// Revokes a token. Returns `false` if there is none with this id.
    pub(crate) async fn revoke_token(&mut self, id: TokenId, now: i64) -> Result<bool, Error> {
        let sql = "UPDATE tokens SET revoked_at = $2 WHERE number = $1 AND revoked_at IS NULL";
        let is_revoked = self.execute(sql, args![id.number(), now]).await? > 0;
        if is_revoked {
            self.note_changed(TOKENS, now).await?;
        }
        Ok(is_revoked)
    }

    /// Whether there is a token with this id that was not revoked.
    pub async fn is_token(&mut self, id: TokenId) -> Result<bool, Error> {
        let sql = "SELECT number FROM tokens WHERE number = $1 AND revoked_at IS NULL";
        Ok(self.fetch_one(sql, args![id.number()]).await?.is_some())
    }

    /// The token with this id, unless it was revoked.
    pub async fn token(&mut self, id: TokenId) -> Result<Option<NamedToken>, Error> {
        self.fetch_one(select!(" AND number = $1"), args![id.number()]).await?.as_ref().map(token).transpose()
    }

    /// Stores when a token was last used.
    pub(crate) async fn note_use_of_token(&mut self, id: TokenId, now: i64) -> Result<(), Error> {
        self.execute("UPDATE tokens SET used_at = $2 WHERE number = $1", args![id.number(), now]).await.map(drop)
    }
}

fn token(row: &Row) -> Result<NamedToken, Error> {
    let rights = row.text("rights")?;
    let rights: Option<Vec<Right>> = rights.split(' ').map(Right::named).collect();
    Ok(NamedToken {
        id: row.int("number")?.into(),
        name: row.text("name")?.parse().map_err(|_| Error::Unreadable("tokens.name"))?,
        rights: Rights::of(rights.ok_or(Error::Unreadable("tokens.rights"))?),
        made_at: row.int("made_at")?,
        made_by: row.text("made_by")?,
        used_at: row.int_if_set("used_at")?,
    })
}
