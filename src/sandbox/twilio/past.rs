//! Calls that other software has made before, with their recordings, to be imported.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;

use super::credentials::PHONE_NUMBER;
use super::emulator::Twilio;
use super::encryption::PublicKey;
use super::phone_book::{self, OPERATOR_PHONES};
use super::seed::{SeededCall, SeededRecording};
use crate::clock;
use crate::splitmix::SplitMix64;

/// One call in this many has a recording of each kind that cannot be transcribed.
const ODD_ONES: usize = 50;

const DAY: Duration = Duration::from_hours(24);

/// Whom these calls are with: some of the phone book, and others.
const PARTIES: [&str; 8] = [
    "+14155550131",
    "+14155550132",
    "+14155550133",
    "+14155551201",
    "+14155551202",
    "+12125550147",
    "+442079460018",
    "+4930901820",
];

/// Whose private key nobody has.
const KEY_SID: &str = "CR6a7d3c8e6a7d3c8e6a7d3c8e6a7d3c8e";
const KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAq9p/ocSW1qbXvFnaGv2D
qKAXkMgEAmQSqQ36Wjz6sJJvmgz0W4w6BGgkikC407kxU+/cN5PM7FoR4+NpUPTR
xL6l0eCnWmE6KjdoNH/9jVtDkZSDAEIoVY/pfBUgxHLjtTI4imqdEA4yR1fwOEqr
013x+yVfp3BCTuVla6ZbmICslEsgk2x1EW8L91gzALCA0nKMfGGithzDaVyNk9vk
ntcxSc8dXrBtpF9Food5Mhm8JtUfKb4yqKGiqD7xoHjAy5cceOZxVqmFFWRHZi7X
Yz85f18SOgdtd3TFb4m6JmZSEvI4IvfRAY0Acx43GW+pDqTjBEsl+jPYsnhyYjnd
nwIDAQAB
-----END PUBLIC KEY-----
";

/// What was made, by what can be done with it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Past {
    /// SIDs of recordings with one channel and with two.
    pub messages: Vec<String>,
    pub conversations: Vec<String>,
    /// Those of 0 seconds, those that became absent, and those encrypted with a key that nobody has.
    pub empty: usize,
    pub absent: usize,
    pub encrypted: usize,
    /// Calls whose recording is deleted.
    pub deleted: usize,
}

impl fmt::Display for Past {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, conversations, empty, absent, encrypted, deleted } = self;
        let (messages, conversations) = (messages.len(), conversations.len());
        write!(
            to,
            "{} recordings can be transcribed: {messages} messages with one channel and {conversations} conversations with \
             two. {empty} are 0 seconds long, {absent} were too short, {encrypted} are encrypted with a key that nobody has, \
             and {deleted} are deleted.",
            messages + conversations
        )
    }
}

/// What a call's recording is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Whole,
    Empty,
    Absent,
    Encrypted,
    Deleted,
}

impl Twilio {
    /// Makes as many calls, evenly over the last days. The same numbers give the same calls. The oldest comes first, as if they
    /// had been made at their time.
    pub fn add_past(&self, calls: usize, days: u32) -> Past {
        let (now, every) = (clock::now(), DAY * days / u32::try_from(calls.max(1)).unwrap_or(u32::MAX));
        let (mut random, mut past) = (SplitMix64::new(calls as u64), Past::default());
        for number in 0..calls {
            let is_conversation = random.below(5) < 2;
            let party = PARTIES[random.below(PARTIES.len() as u64) as usize];
            let sort = match number % ODD_ONES {
                10 => Sort::Empty,
                20 => Sort::Absent,
                30 => Sort::Encrypted,
                40 => Sort::Deleted,
                _ => Sort::Whole,
            };
            let audio = if is_conversation {
                // Each was a call with the party, into which the operator was dialed.
                phone_book::conversation(party, OPERATOR_PHONES[0])
            } else {
                phone_book::message(party)
            };
            let length = if matches!(sort, Sort::Empty | Sort::Absent) { Duration::ZERO } else { audio.duration() };
            let before = every.saturating_mul(u32::try_from(calls - number).unwrap_or(u32::MAX));
            let began =
                SignedDuration::try_from(before).ok().and_then(|before| now.checked_sub(before).ok()).unwrap_or(now);
            let inbound = random.below(3) == 0;
            let (to, from) = if inbound { (PHONE_NUMBER, party) } else { (party, PHONE_NUMBER) };
            let call_sid = self.add_call(SeededCall {
                to: to.to_owned(),
                from: from.to_owned(),
                inbound,
                duration: Some(length + Duration::from_secs(3)),
                began: Some(began),
                ..SeededCall::default()
            });
            let recording = SeededRecording {
                call_sid,
                status: if sort == Sort::Absent { "absent" } else { "completed" },
                channels: if is_conversation { 2 } else { 1 },
                source: if is_conversation { "DialVerb" } else { "RecordVerb" },
                duration: length,
                audio,
                error_code: (sort == Sort::Absent).then_some(super::recording::TOO_SHORT),
                made: Some(began + SignedDuration::from_secs(2)),
            };
            match sort {
                Sort::Whole => {
                    let sids = if is_conversation { &mut past.conversations } else { &mut past.messages };
                    sids.push(self.add_recording(recording));
                }
                Sort::Empty => {
                    self.add_recording(recording);
                    past.empty += 1;
                }
                Sort::Absent => {
                    self.add_recording(recording);
                    past.absent += 1;
                }
                Sort::Encrypted => {
                    let key = self.use_key(Some(PublicKey::new(KEY_SID, KEY)));
                    self.add_recording(recording);
                    self.use_key(key);
                    past.encrypted += 1;
                }
                Sort::Deleted => past.deleted += 1,
            }
        }
        past
    }

    /// Encrypts new recordings with this key. Returns the one of before.
    fn use_key(&self, key: Option<PublicKey>) -> Option<PublicKey> {
        self.change(|account| std::mem::replace(&mut account.public_key, key))
    }
}
