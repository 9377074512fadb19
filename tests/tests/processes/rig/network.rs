//! Hosts with networks of their own on the switch: host i, counted from 0, has the address 10.79.0.i+1, and
//! after its n-th move 10.79.n.i+1.

use super::switch::{Switch, hardware};
use super::way::Way;
use crate::fleet::{Fleet, run};
use crate::hosts::configure;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// What the names of all rigs' hosts begin with; the process follows that made them.
const PREFIX: &str = "muster-rig-";

/// Hosts and the switch between them; all is removed with it.
pub(crate) struct Network {
    tag: String,
    pub(crate) hosts: usize,
    switch: Switch,
    /// How often each host has got another address.
    moves: Vec<AtomicU8>,
}

fn ip(words: &str) -> anyhow::Result<String> {
    run(Command::new("ip").args(words.split_whitespace()))
}

/// Removes the hosts of rigs whose process was killed. Their daemons ended with it.
fn remove_left_over() -> anyhow::Result<()> {
    let names = ip("netns list")?;
    let names = names.lines().filter_map(|line| line.split(' ').next());
    for name in names {
        let process = name
            .strip_prefix(PREFIX)
            .and_then(|it| it.split('-').next());
        if process.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another rig may be removing it, too.
            let _ = ip(&format!("netns delete {name}"));
        }
    }
    Ok(())
}

impl Network {
    /// So many hosts, with perfect ways between them.
    pub(crate) fn new(hosts: usize, seed: u64) -> anyhow::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        remove_left_over()?;
        let (process, made) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let tag = format!("{PREFIX}{process}-{made}");
        // Names of devices have 15 bytes at most.
        let devices: Vec<String> = (0..hosts)
            .map(|host| format!("r{process}x{made}h{host}"))
            .collect();
        let network = Self {
            switch: Switch::new(&devices, seed)?,
            moves: (0..hosts).map(|_| AtomicU8::new(0)).collect(),
            hosts,
            tag,
        };
        for (host, device) in devices.iter().enumerate() {
            network.make(host, device)?;
        }
        (0..hosts).try_for_each(|host| network.address(host))?;
        Ok(network)
    }

    fn name(&self, host: usize) -> String {
        format!("{}-{host}", self.tag)
    }

    fn make(&self, host: usize, device: &str) -> anyhow::Result<()> {
        let name = self.name(host);
        ip(&format!("netns add {name}"))?;
        ip(&format!("link set {device} netns {name}"))?;
        for words in [
            "link set lo up".to_owned(),
            format!("link set {device} name eth0 address {}", hardware(host)),
            "link set eth0 up".to_owned(),
        ] {
            ip(&format!("-n {name} {words}"))?;
        }
        Ok(())
    }

    /// Gives a host the address of its latest move. All others know it then, and it knows theirs: with the last
    /// address the system forgets them.
    fn address(&self, host: usize) -> anyhow::Result<()> {
        let (own, name) = (self.address_of(host), self.name(host));
        ip(&format!("-n {name} addr add {own}/16 dev eth0"))?;
        for other in (0..self.hosts).filter(|other| *other != host) {
            self.introduce(host, other)?;
            self.introduce(other, host)?;
        }
        Ok(())
    }

    /// Says to a host where another one is.
    fn introduce(&self, one: usize, to: usize) -> anyhow::Result<()> {
        let (address, hardware) = (self.address_of(one), hardware(one));
        let to = self.name(to);
        ip(&format!(
            "-n {to} neigh replace {address} lladdr {hardware} nud permanent dev eth0"
        ))
        .map(drop)
    }

    fn address_of(&self, host: usize) -> String {
        let moves = self.moves.get(host);
        address(host, moves.map_or(0, |moves| moves.load(Ordering::Relaxed)))
    }

    /// Gives a host another address in the place of the one that it has. Not the first host, which the others
    /// know by its address.
    pub(crate) fn move_host(&self, host: usize) -> anyhow::Result<()> {
        let (old, name) = (self.address_of(host), self.name(host));
        ip(&format!("-n {name} addr del {old}/16 dev eth0"))?;
        if let Some(moves) = self.moves.get(host) {
            moves.fetch_add(1, Ordering::Relaxed);
        }
        self.address(host)
    }

    /// Places the nodes of a fleet on the hosts. Their daemons end with the thread that starts them.
    pub(crate) fn place(&self, fleet: &mut Fleet) -> anyhow::Result<()> {
        for (host, node) in fleet.nodes.iter_mut().enumerate() {
            let name = self.name(host);
            let launcher = [
                "setpriv",
                "--pdeathsig",
                "KILL",
                "ip",
                "netns",
                "exec",
                &name,
            ];
            node.launcher = launcher.map(OsString::from).to_vec();
            // The others say at which address the way to it begins, as it changes.
            let first = address(0, 0);
            let advertise = match host {
                0 => format!("advertise = \"{first}\"\n"),
                _ => String::new(),
            };
            configure(node, &format!("{advertise}seeds = [\"{first}:6878\"]\n"))?;
        }
        Ok(())
    }

    /// Makes all ways anew.
    pub(crate) fn set_all(&self, how: impl Fn(usize, usize) -> Way) {
        self.change_all(|from, to, way| *way = how(from, to));
    }

    /// Cuts a host off from all others.
    pub(crate) fn cut_off(&self, host: usize) {
        self.change_all(|from, to, way| way.is_cut |= from == host || to == host);
    }

    fn change_all(&self, how: impl Fn(usize, usize, &mut Way)) {
        for from in 0..self.hosts {
            for to in (0..self.hosts).filter(|to| *to != from) {
                self.switch.change(from, to, |way| how(from, to, way));
            }
        }
    }

    /// Makes a line of that bandwidth, which ways may share; gives its number.
    pub(crate) fn line(&self, bits_per_second: u32) -> usize {
        self.switch.line(bits_per_second)
    }
}

fn address(host: usize, moves: u8) -> String {
    format!("10.79.{moves}.{}", host + 1)
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in 0..self.hosts {
            let _ = ip(&format!("netns delete {}", self.name(host)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Network, PREFIX, Way, ip};
    use crate::hosts::may_run;
    use anyhow::ensure;
    use std::process::Command;
    use std::time::Duration;

    /// How many echoes came back, and how long the quickest took, in milliseconds.
    fn echoes(network: &Network, from: usize, to: usize) -> anyhow::Result<(usize, f64)> {
        let to = network.address_of(to);
        let words = ["-n", "-c", "20", "-i", "0.02", "-W", "1", &to];
        let name = network.name(from);
        let output = Command::new("ip")
            .args(["netns", "exec", &name, "ping"])
            .args(words)
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        let times: Vec<f64> = text
            .lines()
            .filter_map(|line| line.split_once("time=")?.1.split(' ').next()?.parse().ok())
            .collect();
        Ok((times.len(), times.iter().copied().fold(f64::MAX, f64::min)))
    }

    #[test]
    fn ways_are_as_bad_as_they_are_made_and_each_direction_by_itself() -> anyhow::Result<()> {
        if !may_run() {
            return Ok(());
        }
        let network = Network::new(3, 7)?;
        let (back, quickest) = echoes(&network, 0, 1)?;
        ensure!(back == 20 && quickest < 50.0, "{back} {quickest}");
        network
            .switch
            .change(0, 1, |way| way.delay = Duration::from_millis(70));
        network
            .switch
            .change(1, 0, |way| way.delay = Duration::from_millis(30));
        let (back, quickest) = echoes(&network, 1, 0)?;
        ensure!(back == 20 && quickest >= 100.0, "{back} {quickest}");
        network.switch.change(1, 0, |way| way.is_cut = true);
        ensure!(echoes(&network, 0, 1)?.0 == 0);
        ensure!(echoes(&network, 1, 2)?.0 == 20);
        let twice = Way {
            twice: 1.0,
            ..Way::default()
        };
        network.set_all(|_, _| twice);
        // Both the question and the answer come twice; `ping` ends with the first answer to the last question.
        ensure!(echoes(&network, 0, 2)?.0 > 60);
        network.set_all(|_, _| Way::default());
        network.move_host(2)?;
        ensure!(echoes(&network, 0, 2)?.0 == 20 && echoes(&network, 2, 0)?.0 == 20);
        Ok(())
    }

    #[test]
    fn hosts_of_a_killed_rig_are_removed_by_the_next_one() -> anyhow::Result<()> {
        if !may_run() {
            return Ok(());
        }
        let mut ended = Command::new("true").spawn()?;
        ended.wait()?;
        let left = format!("{PREFIX}{}-0-0", ended.id());
        ip(&format!("netns add {left}"))?;
        let network = Network::new(1, 7)?;
        let names = ip("netns list")?;
        ensure!(!names.contains(&left), "{names}");
        ensure!(names.contains(&network.name(0)), "{names}");
        let own = network.name(0);
        drop(network);
        let names = ip("netns list")?;
        ensure!(!names.contains(&own), "{names}");
        Ok(())
    }
}
