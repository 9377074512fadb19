//! The program as users run it: real processes, real sockets, a real disk.
//!
//! They run the programs in `$MUSTER_BIN` (`tests/run` sets it to the release build), else those of
//! this build.
#![expect(
    clippy::indexing_slicing,
    reason = "a test that indexes wrongly shall fail"
)]

mod addresses;
mod alerts;
mod alone;
mod apart;
mod away;
mod backup;
mod booted;
mod bulk;
mod bundle;
mod clients;
mod clocks;
mod completion;
mod conflicts;
mod contract;
mod crash;
mod crowds;
mod damage;
mod dashboards;
mod dates;
mod disk;
mod doctor;
mod document;
mod early;
mod expected;
mod fleet;
mod followed;
mod heals;
mod history;
mod hosts;
mod http;
mod identity;
mod joining;
mod kept;
mod lies;
mod lifecycle;
mod load;
mod logs;
mod metrics;
mod observers;
mod packages;
mod page;
mod past;
mod prometheus;
mod quarantine;
mod quota;
mod reach;
mod rebuild;
mod recurring;
mod registry;
mod registry_lives;
mod registry_many;
mod reload;
mod rig;
mod rogue;
mod rough;
mod run;
mod scraper;
mod spoilers;
mod status;
mod story;
mod systemd;
mod tls;
mod tokens;
mod top;
mod transfer;
mod upgrade;
mod users;
mod verify;
mod written;
