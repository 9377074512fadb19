//! The store on a real disk: what it reads back, and what it keeps through crashes, full disks and power cuts.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "store_suite/restart.rs"]
mod restart;
#[path = "store_suite/rows.rs"]
mod rows;
#[path = "store_suite/views.rs"]
mod views;
