//! The bounds of entries and logs.

use super::*;

#[test]
fn tombstones_are_bounded() {
    let mut logs = Logs::default();
    logs.begin(OWNER, 1, 0);
    for n in 0..20_000u32 {
        let process = Process {
            boot: [0; 16],
            pid: n,
            start: 0,
        };
        logs.put(OWNER, name(1), process, State::Live(entry(1, "text")));
        logs.put(OWNER, name(1), process, State::Gone(Reason::Exited));
    }
    assert_eq!(logs.tombstones(), 10_000);
    assert_eq!(logs.get(OWNER).map(Log::live), Some(0));
}

#[test]
fn an_entry_beyond_its_limits_is_refused() {
    let refused = |change: &dyn Fn(&mut Entry)| {
        let mut entry = Entry::clone(&entry(1, "text"));
        change(&mut entry);
        let state = State::Live(Arc::new(entry));
        let records = vec![Record {
            name: name(1),
            process: process(1),
            version: 1,
            state,
        }];
        let delta = Delta {
            owner: OWNER,
            run: 1,
            after: 0,
            upto: 1,
            latest: 1,
            horizon: 0,
            records,
        };
        Logs::default().merge(delta) == Err(Fault::Unsound)
    };
    assert!(!refused(&|_| {}));
    assert!(refused(&|entry| entry.claim = u64::MAX));
    assert!(refused(&|entry| entry.exe = Some("x".repeat(5_000))));
    assert!(refused(&|entry| entry.groups = (0..65).map(name).collect()));
    assert!(refused(
        &|entry| entry.metadata = (0..33).map(|n| (n.to_string(), String::new())).collect()
    ));
    assert!(refused(
        &|entry| entry.metadata = (0..5).map(|n| (n.to_string(), "x".repeat(1_000))).collect()
    ));
}

/// Without this bound a member that lies could fill the memory of all nodes.
#[test]
fn a_log_is_bounded_in_bytes_and_counts_what_it_holds() {
    let text = "x".repeat(1_000);
    let part = |first: u64, count: u64| Delta {
        owner: OWNER,
        run: 1,
        after: first - 1,
        upto: first + count - 1,
        latest: first + count - 1,
        horizon: 0,
        records: (first..first + count)
            .map(|version| Record {
                name: ProcessName::new(&format!("p{version}")).unwrap(),
                process: process(1),
                version,
                state: State::Live(entry(1, &text)),
            })
            .collect(),
    };
    let mut replica = Logs::default();
    let mut version = 1;
    let refused = loop {
        match replica.merge(part(version, 1_000)) {
            Ok(_) => version += 1_000,
            Err(fault) => break fault,
        }
    };
    assert_eq!(refused, Fault::TooMany);
    let bytes = replica.get(OWNER).unwrap().bytes();
    assert!(
        ((128 << 20) - 5_000_000..=128 << 20).contains(&bytes),
        "{bytes}"
    );
    // The ends of all give the room back.
    for ended in 1..version {
        let key = ProcessName::new(&format!("p{ended}")).unwrap();
        replica.put(OWNER, key, process(1), State::Gone(Reason::Exited));
    }
    let bytes = replica.get(OWNER).unwrap().bytes();
    assert!(bytes < 2_000_000, "{bytes}");
}
