//! Where other nodes are told to reach this one, where the configuration does not say it.
//!
//! It is chosen again whenever the kernel tells of a change of links, addresses or routes, and once
//! a minute, as names of seeds may come to mean something else.

use crate::config::Quic;
use crate::host::addresses::{self, Changes, Own};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::thread::sleep;
use std::time::Duration;

/// Addresses kept for documentation: nobody is there, so that the route to them is the default
/// route.
const ANYWHERE: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9),
    SocketAddr::new(
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        9,
    ),
];
/// How long resolving the names of seeds may hold up a start.
const NAMES_WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked when the kernel tells of nothing.
const LOOK_EACH: Duration = Duration::from_secs(60);
/// How long news of one change may take to come together.
const SETTLE: Duration = Duration::from_millis(50);

/// Where others are told to reach this node.
#[derive(Clone, Debug)]
pub(crate) struct Advertised {
    configured: Option<SocketAddr>,
    /// What was chosen for the start, and who chooses.
    chosen: Option<(IpAddr, Chooser)>,
}

impl Advertised {
    pub(crate) fn new(configured: Option<SocketAddr>, chosen: Option<(IpAddr, Chooser)>) -> Self {
        Self { configured, chosen }
    }

    /// What others are told first by a node that listens at that address.
    pub(crate) fn first(&self, local: SocketAddr) -> SocketAddr {
        let chosen = self.chosen.as_ref();
        let chosen = chosen.map(|(ip, _)| SocketAddr::new(*ip, local.port()));
        self.configured.or(chosen).unwrap_or(local)
    }

    /// Tells whenever it has changed, from a thread of its own until the process ends.
    ///
    /// # Errors
    /// There is no room for another thread.
    pub(crate) fn follow(
        self,
        local: SocketAddr,
        tell: impl Fn(SocketAddr) + Send + 'static,
    ) -> std::io::Result<()> {
        let first = self.first(local);
        let Some((_, chooser)) = self.chosen else {
            return Ok(());
        };
        let thread = std::thread::Builder::new().name("addresses".to_owned());
        thread.spawn(move || chooser.follow(first, tell)).map(drop)
    }
}

/// Chooses the address of a node that listens on a wildcard.
#[derive(Clone, Debug)]
pub(crate) struct Chooser {
    /// Whether the socket reaches IPv6.
    is_ipv6: bool,
    seeds: Vec<String>,
    interface: Option<String>,
}

/// What the host has now, as far as the choice needs it.
struct Found {
    /// This host's ends of the routes to the seeds, then of the default routes.
    routes: Vec<IpAddr>,
    own: Vec<Own>,
}

impl Chooser {
    /// `None` where the configuration says the address.
    pub(crate) fn of(quic: &Quic) -> Option<Self> {
        let is_open = quic.advertise.is_none() && quic.listen.ip().is_unspecified();
        is_open.then(|| Self {
            is_ipv6: quic.listen.is_ipv6(),
            seeds: quic.seeds.clone(),
            interface: quic.interface.clone(),
        })
    }

    /// The address to begin with. Names that are not resolved in time are left to
    /// [`Advertised::follow`].
    ///
    /// # Errors
    /// The interface of the configuration is not there, or has no address: in words.
    pub(crate) fn begin(&self) -> Result<IpAddr, String> {
        let (tell, told) = std::sync::mpsc::channel();
        let patient = self.clone();
        std::thread::spawn(move || tell.send(patient.choose(None)));
        let in_time = told.recv_timeout(NAMES_WITHIN);
        in_time.unwrap_or_else(|_| self.nameless().choose(None))
    }

    /// The same without the seeds whose names have to be resolved, which may take long.
    fn nameless(&self) -> Self {
        let is_address = |seed: &&String| seed.parse::<SocketAddr>().is_ok();
        Self {
            seeds: self.seeds.iter().filter(is_address).cloned().collect(),
            ..self.clone()
        }
    }

    /// The address for now; resolves names.
    fn choose(&self, current: Option<IpAddr>) -> Result<IpAddr, String> {
        let resolved = self.seeds.iter();
        let resolved = resolved.filter_map(|seed| seed.to_socket_addrs().ok());
        let found = Found {
            routes: resolved
                .flatten()
                .chain(ANYWHERE)
                .filter_map(addresses::local_end)
                .collect(),
            own: addresses::all().map_err(|error| error.to_string())?,
        };
        self.judge(found, current)
    }

    /// The best address: that of the interface, if one is configured; else this host's end of the
    /// route to the first seed that has one, of a default route, of any interface. Loopback, which
    /// means something else on each host, only where there is nothing else.
    fn judge(&self, found: Found, current: Option<IpAddr>) -> Result<IpAddr, String> {
        let fits = |ip: &IpAddr| (self.is_ipv6 || ip.is_ipv4()) && !ip.to_canonical().is_loopback();
        if let Some(name) = &self.interface {
            let mut of_it = found.own.iter().filter(|own| own.interface == *name);
            let ip = of_it.find(|own| fits(&own.ip)).map(|own| own.ip);
            return ip.ok_or_else(|| missing(name));
        }
        let has = |ip: &IpAddr| found.own.iter().any(|own| own.ip == *ip);
        let routed = found.routes.iter().copied().find(fits);
        let stays = current.filter(|ip| fits(ip) && has(ip));
        let any = found.own.iter().map(|own| own.ip).find(fits);
        let best = routed.or(stays).or(any);
        Ok(best.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)))
    }

    fn follow(&self, first: SocketAddr, tell: impl Fn(SocketAddr)) {
        let changes = Changes::listen();
        let (mut current, mut is_lost) = (first, false);
        loop {
            if current.ip().is_loopback() {
                // Nobody else is to read that: names can wait.
                self.nameless().look(&mut current, &mut is_lost, &tell);
            }
            self.look(&mut current, &mut is_lost, &tell);
            let waited = match &changes {
                Ok(changes) => changes.wait(LOOK_EACH).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = waited {
                tracing::debug!(error, "the kernel does not tell of changes of addresses");
                sleep(LOOK_EACH);
            }
            // News of one change come together.
            sleep(SETTLE);
        }
    }

    /// Chooses again, and tells if that is another address. One that is gone is kept until there is
    /// another one: loopback would be worse for all others.
    fn look(&self, current: &mut SocketAddr, is_lost: &mut bool, tell: &impl Fn(SocketAddr)) {
        let before = current.ip();
        let chosen = self.choose(Some(before));
        if let (Err(reason), false) = (&chosen, *is_lost) {
            tracing::warn!(reason, "this node's address is not known any more");
        }
        *is_lost = chosen.is_err();
        let another = chosen.ok().filter(|ip| *ip != before);
        if let Some(ip) = another.filter(|ip| !ip.is_loopback() || before.is_loopback()) {
            current.set_ip(ip);
            tell(*current);
        }
    }
}

fn missing(interface: &str) -> String {
    if addresses::has_interface(interface) {
        format!("the interface {interface} ([quic] interface) has no address yet, or is down")
    } else {
        format!("there is no interface {interface} ([quic] interface) yet")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn chooser(interface: Option<&str>) -> Chooser {
        Chooser {
            is_ipv6: true,
            seeds: Vec::new(),
            interface: interface.map(str::to_owned),
        }
    }

    fn found(routes: &[&str], own: &[(&str, &str)]) -> Found {
        let own = own.iter().map(|(interface, text)| Own {
            interface: (*interface).to_owned(),
            ip: ip(text),
        });
        Found {
            routes: routes.iter().map(|text| ip(text)).collect(),
            own: own.collect(),
        }
    }

    #[test]
    fn the_route_to_a_seed_decides_and_loopback_only_where_nothing_else_is() {
        let judge = |routes: &[&str], own: &[(&str, &str)], current: Option<&str>| {
            let current = current.map(ip);
            chooser(None).judge(found(routes, own), current).unwrap()
        };
        let own = [("docker0", "172.17.0.1"), ("eth0", "10.0.0.7")];
        assert_eq!(judge(&["10.0.0.7"], &own, None), ip("10.0.0.7"));
        // The own name is among the seeds, and means 127.0.1.1 on Debian.
        let routes = ["127.0.0.1", "10.0.0.7"];
        assert_eq!(judge(&routes, &own, None), ip("10.0.0.7"));
        // No route leads anywhere: the address that was told stays while the host has it.
        assert_eq!(judge(&[], &own, Some("10.0.0.7")), ip("10.0.0.7"));
        assert_eq!(judge(&[], &own, Some("10.0.0.8")), ip("172.17.0.1"));
        assert_eq!(
            judge(&["127.0.0.1"], &[], Some("10.0.0.7")),
            ip("127.0.0.1")
        );
    }

    #[test]
    fn a_socket_of_ipv4_has_no_address_of_ipv6() {
        let found = found(&["fd77::1"], &[("eth0", "fd77::1"), ("eth1", "10.1.0.1")]);
        let chooser = Chooser {
            is_ipv6: false,
            ..chooser(None)
        };
        assert_eq!(chooser.judge(found, None), Ok(ip("10.1.0.1")));
    }

    #[test]
    fn a_configured_interface_alone_counts_and_its_lack_is_told_in_words() {
        let own = [
            ("eth0", "10.0.0.7"),
            ("lo", "127.0.0.1"),
            ("wg0", "10.9.0.1"),
        ];
        let judge = |name| chooser(Some(name)).judge(found(&["10.0.0.7"], &own), None);
        assert_eq!(judge("wg0"), Ok(ip("10.9.0.1")));
        assert_eq!(
            judge("wg1"),
            Err("there is no interface wg1 ([quic] interface) yet".to_owned())
        );
        let words = judge("lo").unwrap_err();
        assert!(
            words.contains("lo ([quic] interface) has no address yet"),
            "{words}"
        );
    }
}
