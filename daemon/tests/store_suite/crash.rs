//! What kill -9 must not take away.

use crate::{rows, writer};
use rand::RngExt;

const KILLS: u64 = 8;

#[test]
fn every_acknowledged_commit_survives_kill_9() {
    writer::write_if_told();
    let dir = tempfile::tempdir().unwrap();
    let mut last = None;
    for kill in 1..=KILLS {
        let mut writer = writer::Writer::start("crash::every_acknowledged_commit_survives_kill_9", dir.path());
        writer.wait_for(rand::rng().random_range(1..600));
        last = writer.kill().or(last);
        // Every other time the next writer finds the store as the kill left it.
        if kill % 2 == 0 {
            let (store, ..) = rows::open(dir.path());
            writer::check(&store, last);
            store.close();
        }
    }
}
