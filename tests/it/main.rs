//! What the program does, through real HTTP against the sandbox. This list is the table of contents.

mod support;

mod access;
mod dial;
mod hooks;
mod record;
mod signature;
