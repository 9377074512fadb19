//! Tests of logs and their parts as other nodes get them.

mod bounds;
mod histories;
mod origins;
mod proofs;
mod relaying;

use super::*;
use names::NodeId;
use std::sync::Arc;

const OWNER: NodeId = NodeId([1; 16]);
const ALL: usize = usize::MAX;

fn name(n: u8) -> ProcessName {
    ProcessName::new(&format!("p{n}")).unwrap()
}

fn process(n: u8) -> Process {
    Process {
        boot: [0; 16],
        pid: u32::from(n),
        start: 0,
    }
}

fn entry(claim: u64, text: &str) -> Arc<Entry> {
    let metadata = std::iter::once(("key".to_owned(), text.to_owned())).collect();
    let groups = BTreeSet::new();
    Arc::new(Entry {
        uid: 1,
        user: None,
        exe: None,
        groups,
        metadata,
        address: None,
        claim,
        since_ms: 0,
    })
}
