//! Hosts with a network of their own each, on one switch, with their own `/etc/hosts`; gone with the
//! test. They need root.

use crate::fleet::{Fleet, Node, run};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// What all of these tests say where they cannot run.
pub(crate) fn may_run() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: hosts with networks of their own need root");
    }
    is_root
}

/// Hosts 1 to n; host i has the address 10.78.0.i on `eth0`, and a default route.
pub(crate) struct Hosts {
    tag: String,
    count: usize,
}

fn ip(words: &str) -> anyhow::Result<()> {
    run(Command::new("ip").args(words.split(' '))).map(drop)
}

impl Hosts {
    pub(crate) fn new(count: usize) -> anyhow::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let tag = format!("muster-{}-{made}", std::process::id());
        let hosts = Self { tag, count };
        let switch = hosts.host(0);
        ip(&format!("netns add {switch}"))?;
        ip(&format!("-n {switch} link add br0 type bridge"))?;
        ip(&format!("-n {switch} link set br0 up"))?;
        for host in 1..=count {
            let name = hosts.host(host);
            ip(&format!("netns add {name}"))?;
            ip(&format!("-n {name} link set lo up"))?;
            hosts.plug(host, "eth0")?;
            hosts.name(host, "")?;
            hosts.connect(host)?;
        }
        Ok(hosts)
    }

    /// The name of a host's network; the switch is host 0.
    fn host(&self, host: usize) -> String {
        format!("{}-{host}", self.tag)
    }

    /// Configures a host's network: `host(2, "addr del 10.78.0.2/24 dev eth0")`.
    pub(crate) fn ip(&self, host: usize, words: &str) -> anyhow::Result<()> {
        ip(&format!("-n {} {words}", self.host(host)))
    }

    /// Gives a host one more interface on the switch, without an address.
    pub(crate) fn plug(&self, host: usize, interface: &str) -> anyhow::Result<()> {
        let (switch, name) = (self.host(0), self.host(host));
        let port = format!("p{host}{interface}");
        ip(&format!(
            "-n {switch} link add {port} type veth peer name {interface} netns {name}"
        ))?;
        ip(&format!("-n {switch} link set {port} master br0 up"))
    }

    /// Gives a host its address and its routes.
    pub(crate) fn connect(&self, host: usize) -> anyhow::Result<()> {
        self.ip(host, &format!("addr add 10.78.0.{host}/24 dev eth0"))?;
        self.ip(host, "link set eth0 up")?;
        self.ip(host, "route add default via 10.78.0.254")
    }

    /// Takes its network from a host.
    pub(crate) fn disconnect(&self, host: usize) -> anyhow::Result<()> {
        self.ip(host, "link set eth0 down")?;
        self.ip(host, "addr flush dev eth0")
    }

    /// Has that host know names by its own `/etc/hosts`, besides localhost.
    pub(crate) fn name(&self, host: usize, lines: &str) -> anyhow::Result<()> {
        let dir = self.files(host);
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join("resolv.conf"), "")?;
        let text = format!("127.0.0.1 localhost\n{lines}");
        Ok(std::fs::write(dir.join("hosts"), text)?)
    }

    fn files(&self, host: usize) -> PathBuf {
        PathBuf::from("/etc/netns").join(self.host(host))
    }

    /// Places the nodes of a fleet on the hosts: each listens on all addresses.
    pub(crate) fn settle(&self, fleet: &mut Fleet, seeds: &[&str]) -> anyhow::Result<()> {
        for (node, host) in fleet.nodes.iter_mut().zip(1..) {
            let launcher = ["ip", "netns", "exec", &self.host(host)];
            node.launcher = launcher.map(Into::into).to_vec();
            configure(node, &format!("seeds = {seeds:?}\n"))?;
        }
        Ok(())
    }
}

/// Writes the configuration of a node that listens on all addresses, with those lines in `[quic]`.
pub(crate) fn configure(node: &Node, quic: &str) -> anyhow::Result<()> {
    node.configure(&[])?;
    let text = std::fs::read_to_string(node.config())?;
    let listens = format!("listen = \"{}\"\nseeds = []\n", node.address);
    anyhow::ensure!(text.contains(&listens), "{text}");
    let text = text.replace(&listens, &format!("listen = \"[::]:6878\"\n{quic}"));
    Ok(std::fs::write(node.config(), text)?)
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in 0..=self.count {
            let _ = Command::new("ip")
                .args(["netns", "delete", &self.host(host)])
                .status();
            let _ = std::fs::remove_dir_all(self.files(host));
        }
    }
}
