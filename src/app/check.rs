//! Whether the settings are right, as far as can be known without a call or an order: what both vendors say to credentials
//! and caller id, which speech models are deprecated, and what is at `BASE_URL`. Each vendor gets two requests at most, and
//! no retry.

use crate::clients::archive::{Archive, Place};
use crate::clients::assemblyai::AssemblyAi;
use crate::clients::twilio::{CallerId, Twilio};
use crate::clients::{Deadlines, Error, Kind, Service};
use crate::config::{Config, Vendors};
use crate::context::Models;
use crate::exposure::Answer;
use crate::metrics::Requests;
use crate::model::phone::PhoneNumber;
use crate::urls::Urls;

/// What one check found.
#[derive(Debug)]
pub(super) struct Finding {
    /// Settings.
    pub(super) subject: &'static str,
    pub(super) verdict: Verdict,
    pub(super) text: String,
    /// The failed request, whose words are for people only, not for the log.
    pub(super) error: Option<Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    Wrong,
    /// The vendor did not say.
    Unknown,
}

const TWILIO: &str = "TWILIO_ACCOUNT_SID and credentials";
const NUMBER: &str = "TWILIO_PHONE_NUMBER";
const ASSEMBLYAI: &str = "ASSEMBLYAI_KEY";
const ARCHIVE: &str = "ARCHIVE_URL";

impl Finding {
    fn new(subject: &'static str, verdict: Verdict, text: impl Into<String>) -> Self {
        Self { subject, verdict, text: text.into(), error: None }
    }

    /// What a vendor's failure says about the settings.
    fn failure(subject: &'static str, error: Error) -> Self {
        let (verdict, text) = match (&error.kind, error.service) {
            (Kind::Unauthorized(_), Service::Twilio) => (
                Verdict::Wrong,
                "check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, or TWILIO_API_KEY and TWILIO_API_SECRET",
            ),
            (_, Service::Archive) => (Verdict::Wrong, "check that callscribe may write, read and delete there"),
            (Kind::Unauthorized(_), Service::AssemblyAi) => (Verdict::Wrong, "check ASSEMBLYAI_KEY"),
            (Kind::NotFound(_) | Kind::Rejected(_) | Kind::BadBody { .. } | Kind::TooLarge(_), Service::Twilio) => {
                (Verdict::Wrong, "check TWILIO_ACCOUNT_SID, and TWILIO_API_URL, TWILIO_REGION and TWILIO_EDGE if set")
            }
            (Kind::NotFound(_) | Kind::Rejected(_) | Kind::BadBody { .. } | Kind::TooLarge(_), Service::AssemblyAi) => {
                (Verdict::Wrong, "check ASSEMBLYAI_API_URL if set")
            }
            _ => (Verdict::Unknown, "not checked"),
        };
        Self { subject, verdict, text: text.to_owned(), error: Some(error) }
    }

    /// The finding with the vendor's words, as a line for people.
    fn line(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Good => "good",
            Verdict::Wrong => "wrong",
            Verdict::Unknown => "unknown",
        };
        let Self { subject, text, error, .. } = self;
        let words = error.as_ref().map(|error| format!("; {}", error.explanation())).unwrap_or_default();
        // A vendor's words may hold anything.
        let line = format!("{verdict:7}  {subject}: {text}{words}").replace(char::is_control, " ");
        line + "\n"
    }
}

/// Asks both vendors about credentials and caller id.
pub(super) async fn ask_vendors(twilio: &Twilio, assemblyai: &AssemblyAi, number: &PhoneNumber) -> Vec<Finding> {
    let number = number.to_string();
    let (caller_id, transcripts) = tokio::join!(twilio.caller_id(&number), assemblyai.check());
    let mut findings = Vec::new();
    match caller_id {
        Ok(caller_id) => {
            findings.push(Finding::new(TWILIO, Verdict::Good, "Twilio accepts them"));
            findings.push(match caller_id {
                CallerId::Owned => Finding::new(NUMBER, Verdict::Good, "belongs to the account"),
                CallerId::Verified => Finding::new(NUMBER, Verdict::Good, "is a verified caller id of the account"),
                CallerId::Foreign => {
                    let text = "is neither a number nor a verified caller id of the Twilio account, so Twilio refuses \
                                calls from it";
                    Finding::new(NUMBER, Verdict::Wrong, text)
                }
                CallerId::Unsaid(error) => Finding {
                    error: Some(error),
                    ..Finding::new(NUMBER, Verdict::Unknown, "Twilio did not say whether it belongs to the account")
                },
            });
        }
        Err(error) => findings.push(Finding::failure(TWILIO, error)),
    }
    findings.push(match transcripts {
        Ok(()) => Finding::new(ASSEMBLYAI, Verdict::Good, "AssemblyAI accepts it"),
        Err(error) => Finding::failure(ASSEMBLYAI, error),
    });
    findings
}

/// Returns whether callscribe may write, read and delete in the archive.
pub(super) async fn ask_archive(archive: &Archive) -> Finding {
    match archive.check().await {
        Ok(()) => {
            Finding::new(ARCHIVE, Verdict::Good, format!("{} can be written, read and deleted in", archive.name()))
        }
        Err(error) => Finding::failure(ARCHIVE, error),
    }
}

/// Opens the archive of the settings, and asks it.
async fn look_at_archive(place: &Place, deadlines: &Deadlines) -> Finding {
    match Archive::open(place, deadlines, &Requests::default()) {
        Ok(archive) if !archive.is_marked() => {
            let text = "the folder was not used before, and the next start of callscribe prepares it; if it was, its disk is not mounted";
            Finding::new(ARCHIVE, Verdict::Unknown, text)
        }
        Ok(archive) => ask_archive(&archive).await,
        Err(why) => Finding::new(ARCHIVE, Verdict::Wrong, why),
    }
}

/// Returns what is known of the speech models before one is ordered.
fn look_at_models(config: &Config) -> Finding {
    const MODELS: &str = "ASSEMBLYAI_SPEECH_MODELS";
    let models = &config.transcript.speech_models;
    match Models::new(models.clone(), Vec::new()).warnings().as_slice() {
        [] => Finding::new(MODELS, Verdict::Good, format!("none of {} is known to be deprecated", models.join(", "))),
        warnings => Finding::new(MODELS, Verdict::Wrong, warnings.join(" ")),
    }
}

/// Returns what is at `BASE_URL` while this program does not serve.
async fn look_at_base_url(urls: &Urls) -> Finding {
    let base = urls.base();
    let (verdict, mut text) = match crate::exposure::ask(urls).await {
        Answer::Unresolved => (Verdict::Wrong, format!("the host of {base} has no address")),
        Answer::Nobody => (
            Verdict::Unknown,
            format!("nothing answers at {base}: callscribe or the tunnel does not run, or the URL has changed"),
        ),
        Answer::Other(status) => (
            Verdict::Unknown,
            format!("something answers at {base} with status {status}, which callscribe does not while it runs"),
        ),
        Answer::Healthy => (Verdict::Good, format!("{base} answers as callscribe does")),
    };
    if urls.is_local() {
        text += "; the URL names this computer, so no vendor elsewhere can reach it";
    } else if urls.is_plain_http() {
        text += "; the URL begins with http://, so everything that the vendors send can be read on its way";
    }
    Finding::new("BASE_URL", verdict, text)
}

/// Checks the settings, and returns a line for each thing checked, and whether nothing is wrong. `None` for the sandbox,
/// which has no settings to check.
pub(super) async fn check(config: Config) -> Option<(String, bool)> {
    let models = look_at_models(&config);
    let Vendors::Accounts(accounts) = config.vendors else { return None };
    let (twilio, assemblyai) = (accounts.twilio, accounts.assemblyai);
    let deadlines = &config.deadlines;
    let number = twilio.phone_number;
    let twilio = Twilio::new(twilio.api_url, twilio.account_sid, twilio.credentials, deadlines.clone());
    let assemblyai = AssemblyAi::new(assemblyai.api_url, assemblyai.key, deadlines.clone());
    let (mut findings, base_url) =
        tokio::join!(ask_vendors(&twilio, &assemblyai, &number), look_at_base_url(&accounts.urls));
    if !findings.iter().any(|finding| finding.subject == NUMBER) {
        let text = "not checked, because Twilio did not accept the request before";
        findings.insert(1, Finding::new(NUMBER, Verdict::Unknown, text));
    }
    findings.extend([models, base_url]);
    if let Some(place) = &config.archive {
        findings.push(look_at_archive(place, &config.deadlines).await);
    }
    let text = findings.iter().map(Finding::line).collect();
    Some((text, findings.iter().all(|finding| finding.verdict != Verdict::Wrong)))
}
