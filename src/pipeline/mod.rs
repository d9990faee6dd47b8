//! What happens to a call: it is placed, recorded, transcribed, deleted. The pipeline knows the store and the vendors'
//! clients, and nothing of incoming HTTP.
//!
//! Every step may run twice, on any instance, after any crash. An intent that costs money is committed before the request
//! is sent; if the answer is lost, the pipeline searches for the result at the vendor and never sends the request again
//! until it knows that there is none.
//!
//! In layers, each of which uses only those above it:
//!
//! | file | what it does |
//! |---|---|
//! | [`allowed`] | which numbers may be dialed |
//! | `error`, `task` | why something fails; tasks that outlive their client |
//! | `job` | the vocabulary of jobs: claim, lease, poll again, what follows an error |
//! | `price` | what transcripts cost |
//! | [`facts`], `request`, [`budget`] | what is known of a call; what a transcript is requested with; how much of the day's budget is left |
//! | `charge` | the job that asks what a call has cost |
//! | [`lookup`], `listing` | what Twilio answers about a call; orders in AssemblyAI's list |
//! | [`ingest`] | stores what the vendors report |
//! | `refused` | how an order goes on whose speech model AssemblyAI refuses |
//! | `upload`, `settle` | steps of the transcript job: upload the audio; poll for the result |
//! | [`ordering`] | what is transcribed, and the commit that stores the order of its transcript |
//! | [`spooled`] | files that come in pieces; the job that sends one on |
//! | `follow`, `submit`, [`delete`], `unreported` | one file a job, with `run` and `give_up` |
//! | `learn`, `measure` | what follows from corrections and checks |
//! | `importable`, `import` | which recordings of the account an import takes; its job |
//! | `trial` | measures what a trial has transcribed |
//! | [`deliver`] | sends webhooks to their receivers |
//! | `runner` | runs one claimed job; the only file that knows the jobs by name |
//! | [`worker`] | claims due jobs and renews their leases |
//! | [`dial`], [`transcription`], [`retry`], [`contacts`], [`speakers`], [`corrections`], [`replace`], [`checks`], [`blind_checks`], [`accuracy`], [`trials`], [`trial_report`], [`imports`], [`costs`], [`receivers`], [`tokens`], [`log_out`] | what operators and clients ask for |

pub mod accuracy;
pub mod allowed;
mod archive;
pub mod asked;
pub mod blind_checks;
pub mod budget;
mod charge;
pub mod checks;
pub mod contacts;
pub mod corrections;
pub mod costs;
pub mod delete;
pub mod delete_many;
pub mod deliver;
pub mod dial;
mod error;
pub mod facts;
pub mod filing;
mod follow;
mod import;
mod importable;
pub mod imports;
pub mod ingest;
mod job;
mod learn;
mod listing;
pub mod log_out;
pub mod lookup;
mod measure;
pub mod ordering;
mod price;
pub mod receivers;
mod refused;
pub mod replace;
mod request;
pub mod retry;
mod right;
mod runner;
mod settle;
pub mod speakers;
pub mod spooled;
mod submit;
mod task;
pub mod tokens;
pub mod transcription;
mod trial;
pub mod trial_report;
pub mod trials;
mod unreported;
mod upload;
pub mod uploads;
pub mod vocabulary;
pub mod worker;

pub use error::{Changed, Error};
pub(crate) use settle::spoken_word;
