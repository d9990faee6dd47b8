//! The database: calls, recordings, transcripts, jobs and the history. All SQL of the program is in this folder. It knows
//! the model and the failpoints, and nothing else of the program.
//!
//! Reads go through [`Store::read`], writes through [`Store::write`]: one transaction commits a state together with the
//! job that follows from it. No transaction is open during a request to a vendor. Each table has a file that adds its
//! statements to [`Conn`]; [`engine`] below them opens the database and runs statements.

mod archive;
mod blind_checks;
mod calls;
mod checks;
mod columns;
mod conn;
mod contacts;
mod corrections;
mod costs;
mod current;
mod database;
mod deletion;
mod deliveries;
mod engine;
mod error;
mod facets;
mod filter;
mod history;
mod idempotency;
mod imports;
mod jobs;
mod legs;
mod list;
mod measures;
mod readiness;
mod receivers;
mod recordings;
mod refused_models;
mod replacements;
mod rows;
mod search;
mod sessions;
mod speakers;
mod summaries;
mod tokens;
mod transcripts;
mod trial_figures;
mod trials;
mod unreported;
mod vocabulary;
mod waiting;

pub use archive::{Archived, KeptAudio};
pub(crate) use calls::Transition;
pub use conn::Conn;
pub use costs::{CallCosts, PartyCosts, TranscriptCosts};
pub use current::{Current, Spoken};
pub use database::Store;
pub(crate) use deliveries::Ended;
pub use deliveries::{Delivery, DeliveryFilter};
pub use engine::Location;
pub use error::{BadDatabase, Error};
pub use filter::{Filter, KindFilter, Number, Sort};
pub(crate) use idempotency::Done;
pub(crate) use imports::Here;
pub use imports::{Import, ImportCounts, ImportItem, LeftOut};
pub use jobs::Job;
pub(crate) use jobs::Lease;
pub use list::{Cursor, Listed};
pub use measures::{Measure, Said};
pub use receivers::Receiver;
pub use replacements::{Asked, Indexed, Replaced, Replacement};
pub use search::{Hit, Named};
pub use speakers::Voice;
pub use summaries::CallSummary;
pub use tokens::TOKENS;
pub(crate) use transcripts::Finished;
pub use transcripts::NewTranscript;
pub use trial_figures::{TrialFigure, Unmeasured};
pub use trials::{ArmProgress, Choosing, Trial, TrialOrder, TrialRecording};
pub use vocabulary::Example;
pub(crate) use vocabulary::{Misheard, Use};
