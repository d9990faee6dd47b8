//! Whether calls may be placed from a number. Sources:
//! <https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource> and
//! <https://www.twilio.com/docs/voice/api/outgoing-caller-ids>.

use reqwest::Method;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::pages::LARGEST_PAGE;
use super::{Twilio, lenient};
use crate::clients::bounded::at_most;
use crate::clients::{Error, Kind};

/// What a number is to the account.
#[derive(Debug)]
pub enum CallerId {
    /// The account has the number.
    Owned,
    /// Its owner has verified it for the account.
    Verified,
    /// Neither: Twilio refuses calls from it.
    Foreign,
    /// Twilio accepts the credentials and does not say, such as to an API key that may not read numbers.
    Unsaid(Error),
}

#[derive(Debug, Deserialize)]
struct Owned {
    #[serde(deserialize_with = "at_most::<LARGEST_PAGE, _, _>")]
    incoming_phone_numbers: Vec<Number>,
}

#[derive(Debug, Deserialize)]
struct Verified {
    #[serde(deserialize_with = "at_most::<LARGEST_PAGE, _, _>")]
    outgoing_caller_ids: Vec<Number>,
}

#[derive(Debug, Deserialize)]
struct Number {
    phone_number: String,
    #[serde(default, deserialize_with = "lenient::text")]
    voice_url: Option<String>,
    /// If set, it says what happens with calls, and `voice_url` does not count.
    #[serde(default, deserialize_with = "lenient::text")]
    voice_application_sid: Option<String>,
}

#[derive(Debug, Deserialize)]
struct AnyCalls {
    #[serde(rename = "calls", deserialize_with = "at_most::<LARGEST_PAGE, _, _>")]
    _calls: Vec<IgnoredAny>,
}

impl Twilio {
    /// Asks Twilio what this number (E.164) is to the account, in two requests at most, each sent once. Logs nothing.
    /// Credentials that may not read numbers may still place calls, so after a refusal the calls are asked for, and only
    /// if they are refused, too, that is an error.
    pub async fn caller_id(&self, number: &str) -> Result<CallerId, Error> {
        let by_number = [("PhoneNumber", number)];
        let has = |numbers: &[Number]| numbers.iter().any(|entry| entry.phone_number == number);
        match self.get_once::<Owned>("IncomingPhoneNumbers.json", &by_number).await {
            Ok(owned) if has(&owned.incoming_phone_numbers) => Ok(CallerId::Owned),
            Ok(_) => Ok(match self.get_once::<Verified>("OutgoingCallerIds.json", &by_number).await {
                Ok(verified) if has(&verified.outgoing_caller_ids) => CallerId::Verified,
                Ok(_) => CallerId::Foreign,
                Err(error) => CallerId::Unsaid(error),
            }),
            Err(unsaid) if matches!(unsaid.kind, Kind::Unauthorized(_) | Kind::NotFound(_) | Kind::Rejected(_)) => {
                let calls = self.get_once::<AnyCalls>("Calls.json", &[("PageSize", "1")]).await;
                calls.inspect_err(|error| self.sender.note(&error.kind)).map(|_| CallerId::Unsaid(unsaid))
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the voice webhook of a number of the account (E.164), empty if it has none. Returns `None` if Twilio does not
    /// say: the number has an application, is not the account's, or the credentials may not read numbers.
    pub async fn voice_url(&self, number: &str) -> Result<Option<String>, Error> {
        match self.get_once::<Owned>("IncomingPhoneNumbers.json", &[("PhoneNumber", number)]).await {
            Ok(owned) => {
                let mut numbers = owned.incoming_phone_numbers.into_iter();
                let found = numbers.find(|entry| entry.phone_number == number);
                let found = found.filter(|found| found.voice_application_sid.as_deref().is_none_or(str::is_empty));
                Ok(found.and_then(|found| found.voice_url))
            }
            Err(unsaid) if matches!(unsaid.kind, Kind::Unauthorized(_) | Kind::NotFound(_) | Kind::Rejected(_)) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn get_once<T: DeserializeOwned>(&self, list: &str, query: &[(&str, &str)]) -> Result<T, Error> {
        let mut url = self.url(&[list]);
        url.query_pairs_mut().extend_pairs(query);
        self.sender.get_json_once("check", self.request(Method::GET, url)).await
    }
}
