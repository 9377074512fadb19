//! What Muster's HTTP API carries: each request, answer, event and problem once, for the daemon, its
//! client, the command line and tests.
//!
//! The types are owned and know nothing of how a daemon keeps things or a client shows them. Two
//! rules make old and new programs understand each other:
//!
//! - A request refuses fields that it does not know: a mistyped one would be ignored silently.
//! - An answer takes what it does not know: further fields are skipped, and a word that is new to a
//!   program is kept as `Other`.
//!
//! ```
//! let answer = r#"{ "name": "n2", "since": "2026-03-01T12:00:00.000Z", "hue": "new in 2027" }"#;
//! let missing: api::cluster::MissingMember = serde_json::from_str(answer).unwrap();
//! assert_eq!(missing.name, "n2");
//! ```

#![warn(missing_docs)]

pub mod verify;
mod words;

pub mod authority;
pub mod backup;
pub mod cluster;
pub mod damage;
pub mod duration;
pub mod events;
pub mod heals;
pub mod lists;
pub mod node;
pub mod page;
pub mod problem;
pub mod processes;
pub mod quarantine;
pub mod reach;
pub mod request;
pub mod time;
pub mod tokens;
