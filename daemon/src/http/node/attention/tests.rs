use super::*;
use crdt::roster::Profile;
use node::cluster::MemberView;
use node::time::Wall;
use std::sync::Arc;

const NOW_S: i64 = 1_700_000_000;
const DAY_S: i64 = 86_400;

fn member(id: u8, state: MemberState) -> MemberView {
    let name = NodeName::new(&format!("n{id}")).unwrap();
    let profile = Profile {
        name,
        address: ([127, 0, 0, 1], 6878).into(),
        version: "1".into(),
        tags: Vec::new(),
    };
    MemberView {
        id: NodeId([id; 16]),
        role: names::Role::Member,
        profile,
        state,
        run: 1,
        since: Wall(0),
        is_metered: false,
        last_round_trip: None,
        conn: None,
        protocol: None,
        indirect: None,
        breach: None,
        away: None,
    }
}

/// A node that is well: three members, half of the disk free, a year until anything expires.
fn well() -> Snapshot {
    let members = [1, 2, 3].map(|id| member(id, MemberState::Alive)).to_vec();
    let views = RosterView {
        me: NodeId([1; 16]),
        members,
        verdict: Verdict::Whole,
        since: Wall(0),
    };
    let mut snapshot = Snapshot::of(views);
    (
        snapshot.store.disk_free_bytes,
        snapshot.store.disk_size_bytes,
    ) = (Some(500), Some(1000));
    (
        snapshot.transport.node_expires_at,
        snapshot.transport.authority_expires_at,
    ) = (NOW_S + 365 * DAY_S, NOW_S + 3650 * DAY_S);
    snapshot
}

fn judged(change: impl FnOnce(&mut Snapshot)) -> Vec<Attention> {
    let mut snapshot = well();
    change(&mut snapshot);
    judge(&snapshot, None, &UNWANTED, NOW_S)
}

const UNWANTED: Listener = Listener {
    now: TcpListening::Unwanted,
    plain_tokens: false,
};

fn one(change: impl FnOnce(&mut Snapshot)) -> (Severity, String) {
    let judged = judged(change);
    assert_eq!(judged.len(), 1, "{judged:?}");
    assert!(judged.iter().all(|attention| !attention.remedy.is_empty()));
    judged
        .into_iter()
        .map(|attention| (attention.severity, attention.what))
        .next()
        .unwrap()
}

#[test]
fn a_node_that_is_well_needs_nobody() {
    assert_eq!(judged(|_| {}), []);
}

#[test]
fn a_disk_that_fills_up_is_told_in_time_and_then_urgent() {
    assert_eq!(judged(|s| s.store.disk_free_bytes = Some(100)), []);
    assert_eq!(
        one(|s| s.store.disk_free_bytes = Some(99)).0,
        Severity::Warning
    );
    assert_eq!(
        one(|s| s.store.disk_free_bytes = Some(20)),
        (
            Severity::Critical,
            "only 2 % of the disk is free".to_owned()
        )
    );
    let full = judge(&well(), Some(WriteError::Full), &UNWANTED, NOW_S);
    assert!(
        full.iter()
            .all(|attention| attention.severity == Severity::Critical)
            && full.len() == 1,
        "{full:?}"
    );
}

#[test]
fn a_listener_that_cannot_be_had_is_told() {
    let address = ([127, 0, 0, 1], 6879).into();
    let listener = |now| Listener {
        now,
        plain_tokens: true,
    };
    let at = listener(TcpListening::At(address));
    assert_eq!(judge(&well(), None, &at, NOW_S), []);
    let failed = listener(TcpListening::Failed {
        address,
        reason: "Address already in use".into(),
    });
    let told = judge(&well(), None, &failed, NOW_S);
    let [finding] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(finding.severity, Severity::Critical);
    assert!(finding.what.contains("127.0.0.1:6879: Address already"));
}

#[test]
fn a_socket_unit_that_differs_from_the_configuration_is_told() {
    let told = |now| {
        let listener = Listener {
            now,
            plain_tokens: false,
        };
        let told = judge(&well(), None, &listener, NOW_S);
        assert_eq!(told.len(), 1, "{told:?}");
        told.into_iter()
            .map(|finding| (finding.severity, finding.what))
            .next()
            .unwrap()
    };
    let (at, configured) = (([127, 0, 0, 1], 6879).into(), ([10, 0, 0, 7], 6879).into());
    let (severity, what) = told(TcpListening::Elsewhere { at, configured });
    assert_eq!(severity, Severity::Warning);
    assert!(what.contains("127.0.0.1:6879") && what.contains("10.0.0.7:6879"));
    let (severity, what) = told(TcpListening::Unserved(at));
    assert_eq!(severity, Severity::Warning);
    assert!(what.contains("127.0.0.1:6879"), "{what}");
}

#[test]
fn tokens_that_cross_a_network_without_tls_are_told() {
    let told = |ip: [u8; 4], plain_tokens, tls_not_after| {
        let listener = Listener {
            now: TcpListening::At((ip, 6879).into()),
            plain_tokens,
        };
        let snapshot = Snapshot {
            tls_not_after,
            ..well()
        };
        let told = judge(&snapshot, None, &listener, NOW_S);
        told.into_iter()
            .map(|finding| finding.severity)
            .collect::<Vec<_>>()
    };
    let nothing: Vec<Severity> = Vec::new();
    let year = Some(NOW_S + 365 * DAY_S);
    assert_eq!(told([0, 0, 0, 0], true, None), [Severity::Warning]);
    assert_eq!(told([10, 0, 0, 7], true, None), [Severity::Warning]);
    assert_eq!(told([10, 0, 0, 7], true, year), nothing);
    assert_eq!(told([10, 0, 0, 7], false, None), nothing);
    assert_eq!(told([127, 0, 0, 1], true, None), nothing);
    let soon = Some(NOW_S + 13 * DAY_S);
    assert_eq!(told([10, 0, 0, 7], false, soon), [Severity::Warning]);
}

#[test]
fn that_members_are_believed_without_proofs_is_told() {
    let told = |accepts_v1, protocol| {
        let judged = judged(|snapshot| {
            snapshot.accepts_v1 = accepts_v1;
            for member in &mut Arc::make_mut(&mut snapshot.views).members {
                member.protocol = Some(Protocol(protocol));
            }
        });
        judged.into_iter().map(|told| told.remedy).next()
    };
    assert_eq!(told(false, 1), None);
    let older = told(true, 1).unwrap();
    assert!(older.contains("upgrade those"), "{older}");
    let newer = told(true, 2).unwrap();
    assert!(newer.contains("all members speak protocol 2"), "{newer}");
}

#[test]
fn a_slow_disk_is_told() {
    let half = Duration::from_millis(1);
    assert_eq!(
        judged(|s| s.store.sync_quantiles = Some((half, SLOW_SYNC))),
        []
    );
    let (severity, what) =
        one(|s| s.store.sync_quantiles = Some((half, Duration::from_millis(900))));
    assert!(
        severity == Severity::Warning && what.contains("900 ms"),
        "{what}"
    );
}

#[test]
fn a_certificate_is_to_be_renewed_before_it_expires() {
    let (severity, what) = one(|s| s.transport.node_expires_at = NOW_S + 29 * DAY_S);
    assert_eq!(
        (severity, what.as_str()),
        (
            Severity::Warning,
            "the node's certificate expires in \
        29 days"
        )
    );
    assert_eq!(
        one(|s| s.transport.node_expires_at = NOW_S).0,
        Severity::Critical
    );
    assert_eq!(
        one(|s| s.transport.authority_expires_at = NOW_S + 89 * DAY_S).0,
        Severity::Warning
    );
}

#[test]
fn a_member_that_is_down_is_named_and_a_cut_is_worse() {
    let view = |verdict, states: [MemberState; 2]| {
        let members = std::iter::once(member(1, MemberState::Alive)).chain(
            states
                .into_iter()
                .zip(2..)
                .map(|(state, id)| member(id, state)),
        );
        Arc::new(RosterView {
            me: NodeId([1; 16]),
            members: members.collect(),
            verdict,
            since: Wall(0),
        })
    };
    let (severity, what) =
        one(|s| s.views = view(Verdict::Majority, [MemberState::Alive, MemberState::Down]));
    assert_eq!((severity, what.as_str()), (Severity::Warning, "n3 is down"));
    assert_eq!(
        judged(|s| s.views = view(Verdict::Whole, [MemberState::Alive, MemberState::Left])),
        []
    );
    // Who has said that it will be back is no reason to wake somebody.
    let (severity, what) = one(|s| {
        s.views = view(
            Verdict::Alone,
            [MemberState::Restarting, MemberState::Restarting],
        )
    });
    assert_eq!(severity, Severity::Warning);
    assert_eq!(what, "this node reaches nobody while these restart: n2, n3");
    let alone = judged(|s| s.views = view(Verdict::Alone, [MemberState::Down, MemberState::Down]));
    assert_eq!(
        alone.iter().map(|a| a.severity.clone()).collect::<Vec<_>>(),
        [Severity::Critical, Severity::Warning, Severity::Warning]
    );
}

#[test]
fn lists_and_processes_that_are_in_trouble_are_told() {
    assert_eq!(one(|s| s.lists.quarantined = 2).0, Severity::Critical);
    assert_eq!(judged(|s| s.lists.lag = LONG_LAG), []);
    assert_eq!(one(|s| s.lists.lag = 2 * LONG_LAG).0, Severity::Warning);
    assert_eq!(
        one(|s| s.cluster.registry.contested = 1).0,
        Severity::Warning
    );
    assert_eq!(
        one(|s| s.cluster.registry.processes = 901).0,
        Severity::Warning
    );
    assert_eq!(one(|s| s.cluster.health = POOR_HEALTH).0, Severity::Warning);
}

#[test]
fn a_host_is_called_overloaded_only_if_its_daemon_got_no_time() {
    for is_starved in [true, false] {
        let judged = judged(|s| {
            s.cluster.health = POOR_HEALTH;
            s.cluster.is_starved = is_starved;
        });
        let remedy = &judged[0].remedy;
        assert_eq!(remedy.contains("overloaded"), is_starved, "{remedy}");
        assert_eq!(remedy.contains("muster doctor"), !is_starved, "{remedy}");
    }
}

#[test]
fn a_slow_link_is_named_as_the_cause() {
    let slow = Link {
        round_trip: Some(Duration::from_millis(640)),
        lost_percent: Some(5),
    };
    let told = |state, is_slow: bool| {
        let judged = judged(|s| {
            let members = vec![member(1, MemberState::Alive), member(2, state)];
            s.views = Arc::new(RosterView {
                members,
                ..(*s.views).clone()
            });
            let link = if is_slow { slow } else { Link::default() };
            s.links = [(NodeId([2; 16]), link)].into_iter().collect();
        });
        let [one] = &judged[..] else {
            panic!("{judged:?}")
        };
        format!("{}: {}", one.what, one.remedy)
    };
    for state in [MemberState::Suspect, MemberState::Down] {
        let (well, ill) = (told(state, false), told(state, true));
        assert!(!well.contains("link"), "{well}");
        assert!(ill.contains("round trip 640 ms, 5 % lost"), "{ill}");
        assert!(!ill.contains("host"), "{ill}");
    }
    let probes = judged(|s| {
        s.cluster.health = POOR_HEALTH;
        s.links = [(NodeId([2; 16]), slow)].into_iter().collect();
    });
    let named = "by their links: n2: round trip 640 ms, 5 % lost";
    assert!(probes[0].what.ends_with(named), "{probes:?}");
}

#[test]
fn a_fork_names_the_list_both_nodes_and_whose_it_is() {
    let fork = |node: Option<&str>| ForkedList {
        name: Some("bob".to_owned()),
        member: "n2".to_owned(),
        actor: "a1".to_owned(),
        node: node.map(str::to_owned),
        change: 5,
    };
    let told = forks(&[fork(Some("n1")), fork(None)], "n1");
    let words: Vec<&str> = told.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(
        words,
        [
            "the list bob is forked: n1 and n2 have unlike changes 5 of n1 (actor a1)",
            "the list bob is forked: n1 and n2 have unlike changes 5 of the actor a1"
        ]
    );
    assert!(told.iter().all(|one| one.severity == Severity::Critical));
}

#[test]
fn who_contradicts_itself_is_named() {
    let told = contradictions(&[ContradictedList {
        name: "bob".to_owned(),
        member: "n3".to_owned(),
    }]);
    let [one] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(one.severity, Severity::Critical);
    assert_eq!(
        one.what,
        "n3 has signed two changes of the list bob with one number as its own"
    );
}

#[test]
fn a_key_that_signs_is_told_of_before_it_ends() {
    let now_s = 1_000_000;
    let until = |days: i64| signer(Ok(Some(now_s + days * 86_400)), now_s);
    assert_eq!((signer(Ok(None), now_s), until(91)), (None, None));
    let soon = until(89).unwrap();
    assert_eq!(
        soon.what,
        "the certificate of the key that signs for others expires in 89 days"
    );
    assert!(soon.remedy.contains("muster pki authority"), "{soon:?}");
    let broken = signer(Err("its files do not fit".to_owned()), now_s).unwrap();
    assert!(
        broken.what.ends_with("any more: its files do not fit"),
        "{broken:?}"
    );
}

#[test]
fn who_was_cut_off_is_named_with_the_reason() {
    let found = judged(|snapshot| {
        Arc::make_mut(&mut snapshot.views).members[2].breach = Some(node::wire::CloseReason::Abuse);
    });
    let [one] = &found[..] else {
        panic!("{found:?}")
    };
    assert!(
        one.what.contains("cut n3 off") && one.what.contains("a bound of the protocol"),
        "{one:?}"
    );
    assert!(one.remedy.contains("muster revoke n3"), "{one:?}");
}
