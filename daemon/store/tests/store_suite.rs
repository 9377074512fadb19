//! The store on a real disk: what it reads back, and what it keeps through crashes, full disks and
//! power cuts.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

#[path = "store_suite/backup.rs"]
mod backup;
#[path = "store_suite/convert.rs"]
mod convert;
#[path = "store_suite/convert_faults.rs"]
mod convert_faults;
#[path = "store_suite/crash.rs"]
mod crash;
#[path = "store_suite/damage.rs"]
mod damage;
#[path = "store_suite/full.rs"]
mod full;
#[path = "store_suite/leaving.rs"]
mod leaving;
#[path = "store_suite/marks.rs"]
mod marks;
#[path = "store_suite/mounts.rs"]
mod mounts;
#[path = "store_suite/power.rs"]
mod power;
#[path = "store_suite/processes.rs"]
mod processes;
#[path = "store_suite/restart.rs"]
mod restart;
#[path = "store_suite/rows.rs"]
mod rows;
#[path = "store_suite/salvage.rs"]
mod salvage;
#[path = "store_suite/views.rs"]
mod views;
#[path = "store_suite/writer.rs"]
mod writer;
