use super::*;
use names::{NodeId, NodeName};

/// When attempts are given up.
const GIVE_UP: Duration = Duration::from_millis(1_500);

/// Two or more processes that only note what arrives.
struct Bench {
    network: Network,
    queue: Queue,
    arrived: Vec<(Instant, usize, Arrival)>,
}

impl Bench {
    fn new(hosts: usize) -> Self {
        let mut network = Network::new(Weather::fair(), Chance::new(1, "network"));
        for host in 0..hosts {
            let id = u8::try_from(host).unwrap();
            network.add(
                Peer {
                    id: NodeId([id; 16]),
                    name: NodeName::new(&format!("n{host}")).unwrap(),
                    role: names::Role::Member,
                },
                crate::world::address(host),
            );
            network.start(host, 1, crate::world::address(host));
        }
        Self {
            network,
            queue: Queue::default(),
            arrived: Vec::new(),
        }
    }

    fn run(&mut self, seconds: u64) {
        let end = self.queue.now() + Duration::from_secs(seconds);
        while self.queue.next_at().is_some_and(|at| at <= end) {
            match self.queue.pop() {
                Some(Event::Network(step)) => self.network.step(&mut self.queue, step),
                Some(Event::Arrival { host, arrival, .. }) => {
                    self.arrived.push((self.queue.now(), host, arrival))
                }
                other => panic!("{other:?}"),
            }
        }
        self.queue.advance(end);
    }

    fn dial(&mut self, from: usize, to: usize) {
        let target = Target::Named(crate::world::address(to).to_string());
        self.network
            .dial(&mut self.queue, from, (DialId(7), GIVE_UP), &target);
    }

    fn connected(&self, host: usize) -> Vec<ConnId> {
        let conn = |arrival: &Arrival| {
            if let Arrival::Connected { conn, .. } = arrival {
                Some(*conn)
            } else {
                None
            }
        };
        self.arrived
            .iter()
            .filter(|(_, at, _)| *at == host)
            .filter_map(|(_, _, arrival)| conn(arrival))
            .collect()
    }

    fn closed(&self, host: usize) -> Vec<Instant> {
        let closed = |(at, to, arrival): &(Instant, usize, Arrival)| {
            (*to == host && matches!(arrival, Arrival::Closed { .. })).then_some(*at)
        };
        self.arrived.iter().filter_map(closed).collect()
    }
}

#[test]
fn a_dial_connects_both_and_keeps_them_connected() {
    let mut bench = Bench::new(2);
    bench.dial(0, 1);
    bench.run(60);
    assert_eq!((bench.connected(0).len(), bench.connected(1).len()), (1, 1));
    assert!(bench.closed(0).is_empty() && bench.closed(1).is_empty());
}

#[test]
fn a_dial_to_nobody_is_given_up() {
    let mut bench = Bench::new(2);
    bench.network.stop(&mut bench.queue, 1, false);
    bench.dial(0, 1);
    bench.run(5);
    let (at, _, arrival) = &bench.arrived[0];
    assert!(matches!(
        arrival,
        Arrival::DialFailed { refused: false, .. }
    ));
    assert_eq!(at.since(Instant::default()), GIVE_UP);
}

#[test]
fn a_killed_peer_is_noticed_by_silence_and_an_ended_one_at_once() {
    for (orderly, least, most) in [(false, 60, 92), (true, 0, 1)] {
        let mut bench = Bench::new(2);
        bench.dial(0, 1);
        bench.run(20);
        bench.network.stop(&mut bench.queue, 1, orderly);
        bench.run(100);
        let after = bench.closed(0)[0].since(Instant::default()).as_secs() - 20;
        assert!((least..=most).contains(&after), "{orderly}: {after}");
    }
}

#[test]
fn messages_arrive_in_order_and_wait_out_a_short_cut() {
    let mut bench = Bench::new(2);
    bench.dial(0, 1);
    bench.run(1);
    bench.network.weather.loss = 0.3;
    bench.network.cuts.one_way(0, 1);
    let conn = bench.connected(0)[0];
    for n in 0..50 {
        bench.network.send(
            &mut bench.queue,
            0,
            conn,
            Channel::Lists,
            Bytes::from(vec![n]),
        );
    }
    bench.run(4);
    bench.network.cuts.heal();
    bench.run(20);
    let bytes = bench.arrived.iter().filter_map(|(_, _, a)| {
        if let Arrival::Message { bytes, .. } = a {
            Some(bytes[0])
        } else {
            None
        }
    });
    assert_eq!(bytes.collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
}

#[test]
fn what_a_cut_held_back_goes_out_with_the_first_packet_that_gets_through() {
    let mut bench = Bench::new(2);
    bench.dial(0, 1);
    bench.run(1);
    bench.network.cuts.one_way(0, 1);
    let conn = bench.connected(0)[0];
    let late = Bytes::from_static(b"late");
    bench
        .network
        .send(&mut bench.queue, 0, conn, Channel::Lists, late);
    // By now the pause before the next attempt is longer than what is left of this test.
    bench.run(6);
    bench.network.cuts.heal();
    let healed = bench.queue.now();
    let soon = Bytes::from_static(b"soon");
    bench
        .network
        .send(&mut bench.queue, 0, conn, Channel::Cluster, soon);
    bench.run(1);
    let arrived = |(at, _, arrival): &(Instant, usize, Arrival)| {
        let is_late = matches!(
            arrival,
            Arrival::Message {
                channel: Channel::Lists,
                ..
            }
        );
        is_late.then(|| at.since(healed))
    };
    let after = bench.arrived.iter().find_map(arrived).unwrap();
    assert!(after < Duration::from_millis(10), "{after:?}");
}

#[test]
fn a_cut_closes_both_ends_late() {
    for one_way in [true, false] {
        let mut bench = Bench::new(2);
        bench.dial(0, 1);
        bench.run(1);
        bench.network.cuts.one_way(0, 1);
        if !one_way {
            bench.network.cuts.one_way(1, 0);
        }
        bench.run(80);
        assert!(bench.closed(0).is_empty() && bench.closed(1).is_empty());
        bench.run(110);
        assert_eq!((bench.closed(0).len(), bench.closed(1).len()), (1, 1));
    }
}

#[test]
fn of_two_connections_the_one_dialled_by_the_smaller_id_stays() {
    let mut bench = Bench::new(2);
    bench.dial(1, 0);
    bench.dial(0, 1);
    bench.run(20);
    assert_eq!(
        (
            bench.connected(0).len(),
            bench.closed(0).len(),
            bench.closed(1).len()
        ),
        (2, 1, 1)
    );
    assert_eq!(bench.network.open_connections(0), 1);
    let (id, end) = bench
        .network
        .ends
        .values()
        .find(|(id, _)| bench.network.sessions[id].ends[0].is_open())
        .copied()
        .unwrap();
    assert_eq!(bench.network.sessions[&id].ends[0].host, 0, "end {end}");
}

#[test]
fn a_full_queue_drops_messages_and_says_so_once() {
    let mut bench = Bench::new(2);
    bench.dial(0, 1);
    bench.run(1);
    bench.network.weather.queue_bytes = 100;
    bench.network.cuts.one_way(0, 1);
    let conn = bench.connected(0)[0];
    for _ in 0..20 {
        bench.network.send(
            &mut bench.queue,
            0,
            conn,
            Channel::Lists,
            Bytes::from(vec![0; 30]),
        );
    }
    bench.run(1);
    let told = bench
        .arrived
        .iter()
        .filter(|(_, _, arrival)| matches!(arrival, Arrival::Overflowed { .. }))
        .count();
    assert_eq!(told, 1);
}

#[test]
fn a_stopped_process_hears_everything_when_it_runs_again() {
    let mut bench = Bench::new(2);
    bench.dial(0, 1);
    bench.run(1);
    let until = bench.queue.now() + Duration::from_secs(4);
    bench.network.pause(1, until);
    let conn = bench.connected(0)[0];
    bench
        .network
        .datagram(&mut bench.queue, 0, conn, &Bytes::from_static(b"x"));
    bench.run(8);
    let datagrams = bench
        .arrived
        .iter()
        .filter(|(_, _, arrival)| matches!(arrival, Arrival::Datagram { .. }));
    assert_eq!(datagrams.map(|(at, ..)| *at).collect::<Vec<_>>(), [until]);
}
