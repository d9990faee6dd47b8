//! Calls.

use super::columns::call_columns;
use super::conn::{Conn, args};
use super::contacts::MOST_NAMED;
use super::engine::Row;
use super::error::Error;
use super::rows;
use crate::model::call::{Call, CallId, CallName, CallSid, CallState, Direction, FormNonce};
use crate::model::history::Happened;
use crate::model::name::Name;
use crate::model::phone::PhoneNumber;
use crate::model::recording::Recording;
use crate::model::search::folded;

/// A new state of a call, with Twilio's error code if there is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transition<'a> {
    pub(crate) state: CallState,
    pub(crate) reason: Option<&'a str>,
    pub(crate) code: Option<i64>,
}

impl From<CallState> for Transition<'_> {
    fn from(state: CallState) -> Self {
        Self { state, reason: None, code: None }
    }
}

/// What search compares with the words of a query.
fn folded_title(title: Option<&Name>, file_name: Option<&Name>) -> String {
    let names = [title, file_name].into_iter().flatten().map(Name::as_str);
    folded(&names.collect::<Vec<_>>().join(" "))
}

/// The most tags that forms suggest.
const MOST_TAGS: i64 = 1_000;

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", call_columns!(), " FROM calls ", $rest)
    };
}

impl Conn {
    /// Keeps every other transaction from dialing until this one ends, so that counts of calls stay true.
    pub(crate) async fn lock_dialing(&mut self, now: i64) -> Result<(), Error> {
        if !self.has_other_writers() {
            return Ok(());
        }
        self.execute("UPDATE dialling SET at = $1", args![now]).await.map(drop)
    }

    /// Counts calls that were dialed in the future as dialed now: a clock that was ahead has put them there, and they would
    /// count against the caps until that time comes.
    pub(crate) async fn redate_calls(&mut self, now: i64) -> Result<(), Error> {
        self.execute("UPDATE calls SET dialled_at = $1 WHERE dialled_at > $1", args![now]).await.map(drop)
    }

    /// Inserts a call that is about to be placed, whose callbacks go to this base URL. Returns `false` if another call to the
    /// number is up, or another conversation with the operator's phone.
    pub(crate) async fn add_call(
        &mut self,
        call: &Call,
        base_url: &str,
        nonce: Option<&FormNonce>,
    ) -> Result<bool, Error> {
        let added = self
            .execute(
                "INSERT INTO calls (id, direction, to_number, from_number, keyterms, state, rank, holds_number,
                 created_at, updated_at, dialled_at, base_url, press, kind, operator_number, tag)
                 SELECT $1, $2, $3, $4, $5, $6, $7, 1, $8, $8, $8, $9, $10, $11, $12, $13 WHERE NOT EXISTS (
                    SELECT 1 FROM calls AS other WHERE other.operator_number = $3 AND other.holds_number = 1
                    UNION ALL SELECT 1 FROM calls AS other WHERE other.to_number = $12 AND other.holds_number = 1
                    UNION ALL SELECT 1 FROM legs JOIN calls AS other ON other.id = legs.call_id
                    JOIN jobs ON jobs.kind = 'call' AND jobs.subject = other.id AND jobs.state = 'open'
                    WHERE legs.number IN ($3, $12) AND legs.state = 'in-progress' AND other.rank <= $14)
                 ON CONFLICT DO NOTHING",
                args![
                    call.id.as_str(),
                    call.direction.as_str(),
                    call.to.as_deref(),
                    call.from.as_deref(),
                    serde_json::to_string(call.keyterms.as_slice()).unwrap_or_default().as_str(),
                    call.state.as_str(),
                    call.state.rank(),
                    call.created_at,
                    base_url,
                    nonce.map(FormNonce::as_str),
                    call.kind.as_str(),
                    call.operator.as_deref(),
                    call.tag.as_ref().map(Name::as_str),
                    CallState::InProgress.rank(),
                ],
            )
            .await?;
        if added > 0 {
            self.note(&call.id, Happened::Call(call.state), None, call.created_at).await?;
        }
        Ok(added > 0)
    }

    /// Inserts a call that this program did not place, or returns the one with its SID or id.
    pub(crate) async fn find_or_insert_call(&mut self, call: &Call) -> Result<Call, Error> {
        let sid = call.sid.as_ref().map(CallSid::as_str);
        let added = self
            .execute(
                "INSERT INTO calls (id, sid, direction, to_number, from_number, keyterms, state, rank, holds_number,
                 created_at, updated_at, kind) VALUES ($1, $2, $3, $4, $5, '[]', $6, $7, 0, $8, $8, $9)
                 ON CONFLICT DO NOTHING",
                args![
                    call.id.as_str(),
                    sid,
                    call.direction.as_str(),
                    call.to.as_deref(),
                    call.from.as_deref(),
                    call.state.as_str(),
                    call.state.rank(),
                    call.created_at,
                    call.kind.as_str(),
                ],
            )
            .await?;
        if added > 0 {
            self.note(&call.id, Happened::Call(call.state), None, call.created_at).await?;
            return Ok(call.clone());
        }
        let row = self.fetch_one(select!("WHERE sid = $1 OR id = $2"), args![sid, call.id.as_str()]).await?;
        row.as_ref().map(rows::call).transpose()?.ok_or(Error::Unreadable("calls.sid"))
    }

    /// Inserts an upload with its recording. Fails with [`Error::Taken`] if there is one of the same audio.
    pub(crate) async fn add_upload(&mut self, upload: &Call, recording: &Recording) -> Result<(), Error> {
        let sql = "INSERT INTO calls (id, direction, kind, title, file_name, keyterms, state, rank, holds_number,
                   created_at, ended_at, updated_at, folded_title, tag)
                   VALUES ($1, $2, $3, $4, $5, '[]', $6, $7, 0, $8, $9, $8, $10, $11)";
        let args = args![
            upload.id.as_str(),
            upload.direction.as_str(),
            upload.kind.as_str(),
            upload.title.as_ref().map(Name::as_str),
            upload.file_name.as_ref().map(Name::as_str),
            upload.state.as_str(),
            upload.state.rank(),
            upload.created_at,
            upload.ended_at,
            folded_title(upload.title.as_ref(), upload.file_name.as_ref()).as_str(),
            upload.tag.as_ref().map(Name::as_str),
        ];
        self.execute(sql, args).await?;
        self.touch(upload.id.as_str());
        self.add_uploaded_recording(recording, upload.created_at).await
    }

    /// Changes the title of an upload, or takes it away.
    pub(crate) async fn set_title(&mut self, of: &Call, title: Option<&Name>, now: i64) -> Result<(), Error> {
        let sql = "UPDATE calls SET title = $2, folded_title = $4, updated_at = $3 WHERE id = $1 AND deletion IS NULL";
        let folded = folded_title(title, of.file_name.as_ref());
        self.execute(sql, args![of.id.as_str(), title.map(Name::as_str), now, folded.as_str()]).await.map(drop)
    }

    /// Files a call or an upload under a tag, or takes the tag away.
    pub(crate) async fn set_tag(&mut self, id: &CallId, tag: Option<&Name>, now: i64) -> Result<(), Error> {
        let sql = "UPDATE calls SET tag = $2, updated_at = $3 WHERE id = $1 AND deletion IS NULL";
        self.execute(sql, args![id.as_str(), tag.map(Name::as_str), now]).await.map(drop)
    }

    /// The tags that come after this one, up to a number of them.
    pub async fn tags_after(&mut self, last: &str, limit: i64) -> Result<Vec<Name>, Error> {
        // One step in the index for each tag, however many calls have it.
        let sql = "WITH RECURSIVE known (tag) AS (
                       SELECT min(tag) FROM calls WHERE tag > $2
                       UNION ALL
                       SELECT (SELECT min(tag) FROM calls WHERE tag > known.tag) FROM known WHERE known.tag IS NOT NULL
                   ) SELECT tag FROM known WHERE tag IS NOT NULL LIMIT $1";
        let tags = self.fetch(sql, args![limit, last]).await?;
        let read = |row: &Row| row.text("tag")?.parse().map_err(|_| Error::Unreadable("calls.tag"));
        tags.iter().map(read).collect()
    }

    /// Returns a tag as it is written already, whatever the case of its letters, if there is one like it.
    pub async fn known_tag(&mut self, tag: &Name) -> Result<Name, Error> {
        let sql = "SELECT tag FROM calls WHERE tag = $1 LIMIT 1";
        if self.fetch_one(sql, args![tag.as_str()]).await?.is_some() {
            return Ok(tag.clone());
        }
        // SQLite knows the case of ASCII letters only, so all tags are read.
        let wanted = tag.as_str().to_lowercase();
        let mut last = String::new();
        loop {
            let tags = self.tags_after(&last, MOST_TAGS).await?;
            if let Some(known) = tags.iter().find(|known| known.as_str().to_lowercase() == wanted) {
                return Ok(known.clone());
            }
            match tags.last() {
                Some(end) if tags.len() as i64 == MOST_TAGS => end.as_str().clone_into(&mut last),
                _ => return Ok(tag.clone()),
            }
        }
    }

    /// The newest uploads whose title, or the name of whose file, matches this pattern of terms.
    pub(super) async fn uploads_titled(&mut self, pattern: &str) -> Result<Vec<String>, Error> {
        let sql = "SELECT id FROM calls WHERE kind = 'upload' AND folded_title LIKE $1
                   ORDER BY created_at DESC, id DESC LIMIT $2";
        self.fetch(sql, args![pattern, MOST_NAMED]).await?.iter().map(|row| row.text("id")).collect()
    }

    /// The call that uses a phone: one to it that is up, or may be; a conversation in which it is the operator's; or a
    /// call that has dialed it and is followed, if somebody has picked up and not hung up.
    pub(crate) async fn call_at(&mut self, phone: &PhoneNumber) -> Result<Option<Call>, Error> {
        let sql = select!(
            "WHERE id = (SELECT id FROM calls WHERE to_number = $1 AND holds_number = 1
             UNION ALL SELECT id FROM calls WHERE operator_number = $1 AND holds_number = 1
             UNION ALL SELECT calls.id FROM legs JOIN calls ON calls.id = legs.call_id
             JOIN jobs ON jobs.kind = 'call' AND jobs.subject = calls.id AND jobs.state = 'open'
             WHERE legs.number = $1 AND legs.state = 'in-progress' AND calls.rank <= $2 LIMIT 1)"
        );
        let args = args![phone.to_string().as_str(), CallState::InProgress.rank()];
        self.fetch_one(sql, args).await?.as_ref().map(rows::call).transpose()
    }

    /// The newest call that was dialed to a number since a time and that rang, or may have: a conversation with this
    /// operator's phone, or else a message.
    pub(crate) async fn newest_dialed_since(
        &mut self,
        number: &PhoneNumber,
        operator: Option<&PhoneNumber>,
        since: i64,
        now: i64,
    ) -> Result<Option<Call>, Error> {
        let sql = self.dialect().newest_dialed_since();
        let operator = operator.map(PhoneNumber::to_string);
        let args = args![number.to_string().as_str(), since, now, operator.as_deref()];
        self.fetch_one(sql, args).await?.as_ref().map(rows::call).transpose()
    }

    /// Returns the call with this id, unless Twilio has refused it, so that it certainly rang nowhere.
    pub(crate) async fn call_not_refused(&mut self, id: &str) -> Result<Option<Call>, Error> {
        let sql = select!("WHERE id = $1 AND NOT (sid IS NULL AND state = $2)");
        self.fetch_one(sql, args![id, CallState::Failed.as_str()]).await?.as_ref().map(rows::call).transpose()
    }

    /// Returns the call to `to` that a form with this nonce has asked for, if it rang or may have rung: a conversation with
    /// this operator's phone, or else a message.
    pub(crate) async fn call_of_nonce(
        &mut self,
        nonce: &FormNonce,
        to: &PhoneNumber,
        operator: Option<&PhoneNumber>,
    ) -> Result<Option<Call>, Error> {
        let sql = select!(
            "WHERE press = $1 AND to_number = $2 AND operator_number IS NOT DISTINCT FROM $3
             AND (sid IS NOT NULL OR holds_number = 1)"
        );
        let operator = operator.map(PhoneNumber::to_string);
        let args = args![nonce.as_str(), to.to_string().as_str(), operator.as_deref()];
        self.fetch_one(sql, args).await?.as_ref().map(rows::call).transpose()
    }

    /// When the phone was dialed after which exactly `newer` others were, if that is later than `since`. In a conversation,
    /// two phones are dialed. Nothing may be dated after `now`.
    pub(crate) async fn dialed_before_newest(
        &mut self,
        newer: i64,
        since: i64,
        now: i64,
    ) -> Result<Option<i64>, Error> {
        let sql = "SELECT at FROM (SELECT dialled_at AS at FROM calls WHERE dialled_at > $1 UNION ALL
                   SELECT dialled_at AS at FROM calls WHERE kind = 'conversation' AND dialled_at > $1 UNION ALL
                   SELECT created_at AS at FROM calls WHERE dialled_at < created_at AND dialled_at <= $1
                   AND created_at > $1 AND created_at <= $3 UNION ALL
                   SELECT created_at AS at FROM calls WHERE dialled_at < created_at AND dialled_at <= $1
                   AND created_at > $1 AND created_at <= $3 AND kind = 'conversation')
                   AS dialed ORDER BY at DESC LIMIT 1 OFFSET $2";
        self.fetch_one(sql, args![since, newer, now]).await?.map(|row| row.int("at")).transpose()
    }

    /// How many phones were dialed after `since`: two in a conversation. A call that was [redated](Self::redate_calls) by a
    /// clock that was behind counts by its own time.
    pub(crate) async fn count_dialed_since(&mut self, since: i64, now: i64) -> Result<i64, Error> {
        let sql = "SELECT (SELECT count(*) FROM calls WHERE dialled_at > $1) +
                   (SELECT count(*) FROM calls WHERE kind = 'conversation' AND dialled_at > $1) +
                   (SELECT count(*) + count(CASE WHEN kind = 'conversation' THEN 1 END) FROM calls
                   WHERE dialled_at < created_at AND dialled_at <= $1 AND created_at > $1 AND created_at <= $2) AS calls";
        self.fetch_one(sql, args![since, now]).await?.map_or(Ok(0), |row| row.int("calls"))
    }

    /// Whether the call was dialed here, even if it is deleted.
    pub(crate) async fn is_dialed_here(&mut self, id: &CallId) -> Result<bool, Error> {
        let sql = "SELECT id FROM calls WHERE id = $1 AND dialled_at IS NOT NULL";
        Ok(self.fetch_one(sql, args![id.as_str()]).await?.is_some())
    }

    pub async fn call(&mut self, name: &CallName) -> Result<Option<Call>, Error> {
        let row = match name {
            CallName::Id(id) => self.fetch_one(select!("WHERE id = $1"), args![id.as_str()]).await?,
            CallName::Sid(sid) => self.fetch_one(select!("WHERE sid = $1"), args![sid.as_str()]).await?,
        };
        row.as_ref().map(rows::call).transpose()
    }

    /// The call that has dialed this leg.
    pub async fn call_of_leg(&mut self, leg: &CallSid) -> Result<Option<Call>, Error> {
        let sql = select!("WHERE id = (SELECT call_id FROM legs WHERE sid = $1)");
        self.fetch_one(sql, args![leg.as_str()]).await?.as_ref().map(rows::call).transpose()
    }

    /// How many followed calls send their callbacks to another base URL than this one.
    pub(crate) async fn calls_dialed_elsewhere(&mut self, base_url: &str) -> Result<i64, Error> {
        // `coalesce` makes the planner use the index of open jobs instead of that of all jobs by kind.
        let sql = "SELECT count(*) AS calls FROM jobs JOIN calls ON calls.id = jobs.subject
                   WHERE coalesce(jobs.kind, '') = 'call' AND jobs.state = 'open' AND calls.base_url <> $1";
        self.fetch_one(sql, args![base_url]).await?.map_or(Ok(0), |row| row.int("calls"))
    }

    /// Stores a call's SID if it has none yet.
    pub(crate) async fn set_call_sid(&mut self, id: &CallId, sid: &CallSid, now: i64) -> Result<(), Error> {
        self.execute(
            "UPDATE calls SET sid = $2, updated_at = $3 WHERE id = $1 AND sid IS NULL",
            args![id.as_str(), sid.as_str(), now],
        )
        .await
        .map(drop)
    }

    /// Stores the SID and state from Twilio's response to a dialed call. Returns `false` and changes nothing if a callback
    /// has stored the SID or a state as far, or if the state is final.
    pub(crate) async fn mark_placed(
        &mut self,
        id: &CallId,
        sid: &CallSid,
        state: CallState,
        now: i64,
    ) -> Result<bool, Error> {
        if !state.holds_number() {
            return Ok(false);
        }
        let sql = "UPDATE calls SET sid = $2, state = $3, rank = $4, reason = NULL, code = NULL, updated_at = $5
                   WHERE id = $1 AND sid IS NULL AND rank < $4";
        let placed = self.execute(sql, args![id.as_str(), sid.as_str(), state.as_str(), state.rank(), now]).await?;
        if placed > 0 {
            self.note(id, Happened::Call(state), None, now).await?;
        }
        Ok(placed > 0)
    }

    pub(crate) async fn is_sid_known(&mut self, sid: &str) -> Result<bool, Error> {
        Ok(self.fetch_one("SELECT id FROM calls WHERE sid = $1", args![sid]).await?.is_some())
    }

    /// Stores the direction and the numbers of a call that was inserted without them, unless it is deleted.
    pub(crate) async fn fill_in_call(
        &mut self,
        id: &CallId,
        direction: Direction,
        to: Option<&str>,
        from: Option<&str>,
    ) -> Result<(), Error> {
        let changed = self
            .execute(
                "UPDATE calls SET direction = CASE WHEN direction = 'unknown' THEN $2 ELSE direction END,
             to_number = coalesce(to_number, $3), from_number = coalesce(from_number, $4)
             WHERE id = $1 AND deletion IS NULL
             AND (direction = 'unknown' OR to_number IS NULL OR from_number IS NULL)",
                args![id.as_str(), direction.as_str(), to, from],
            )
            .await?;
        if changed > 0 { self.reindex_call(id).await } else { Ok(()) }
    }

    /// Advances a call. Returns `false` if it was as far already.
    pub(crate) async fn advance_call(&mut self, id: &CallId, to: Transition<'_>, now: i64) -> Result<bool, Error> {
        macro_rules! moved {
            ($rest:literal) => {
                concat!(
                    "UPDATE calls SET ",
                    $rest,
                    " state = $2, rank = $3, reason = $4, code = $5, updated_at = $6 WHERE id = $1 AND rank < $3"
                )
            };
        }
        let Transition { state, reason, code } = to;
        // `holds_number` is only written when it changes, because it is indexed.
        let sql = match (state.holds_number(), state.is_over()) {
            (true, _) => moved!(""),
            (false, false) => moved!("holds_number = 0,"),
            (false, true) => moved!("holds_number = 0, ended_at = $6,"),
        };
        let args = args![id.as_str(), state.as_str(), state.rank(), reason, code, now];
        let moved = self.execute(sql, args).await?;
        if moved > 0 {
            self.note(id, Happened::Call(state), reason, now).await?;
            self.reindex_call(id).await?;
        }
        Ok(moved > 0)
    }

    /// Stores why a call is no longer followed, or `None` if it is again, and frees its number. Its state stays.
    pub(crate) async fn stop_following(&mut self, id: &CallId, reason: Option<&str>) -> Result<(), Error> {
        let sql = "UPDATE calls SET reason = $2, holds_number = 0 WHERE id = $1";
        self.execute(sql, args![id.as_str(), reason]).await.map(drop)
    }
}
