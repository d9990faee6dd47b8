//! How right a transcript is: its words against those of a reference, which is what was said. Pure: it knows nothing of
//! calls, files or HTTP.
//!
//! Both texts become [`Token`]s by the same [`Normalization`]. A [`Comparison`] aligns them with as few errors as possible.
//! From its [`Step`]s follow the [`Edits`], which give the word error rate; the places of [`Terms`]; and which words are
//! [wrong](Comparison::wrong). Over many calls all counts are added before anything is divided: a mean of rates would give a
//! call of ten words the weight of one of a thousand. [`resample`] says how far a rate may be off by chance.

mod align;
mod assignment;
mod comparison;
mod edits;
mod keyterms;
pub mod marks;
mod normalization;
pub mod resample;
mod speakers;

pub use align::align;
pub use comparison::Comparison;
pub use edits::{Edits, Step};
pub use keyterms::{Place, TermCounts, Terms};
pub use normalization::{Normalization, Token, UnknownNormalization};
pub use speakers::{Attribution, attribute};
