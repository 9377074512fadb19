//! The first host of a cluster under systemd, with the units of the packages.

use crate::booted::Booted;
use crate::fleet::program;
use anyhow::ensure;
use std::path::{Path, PathBuf};

#[test]
fn init_starts_the_service_whose_certificate_is_its_own() -> anyhow::Result<()> {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/packaging");
    let units = [
        "muster.service",
        "muster.socket",
        "muster.sysusers",
        "muster.toml",
    ];
    let files: Vec<PathBuf> = ["muster", "musterd"]
        .map(program)
        .into_iter()
        .chain(units.map(|unit| packaging.join(unit)))
        .collect();
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let booted = Booted::start(&paths)?;
    booted.inside(
        "cd /var/tmp && install muster musterd /usr/bin && cp muster.service muster.socket \
         /usr/lib/systemd/system && cp muster.sysusers /usr/lib/sysusers.d/muster.conf && install -d \
         /etc/muster && cp muster.toml /etc/muster && systemd-sysusers muster.conf && systemctl \
         daemon-reload && ip link set lo up",
    )?;
    // It waits for a certificate, as after an installation.
    booted.inside("systemctl start muster.service")?;
    booted.prints("systemctl show -P ActiveState muster.service", "inactive")?;
    let said = booted.inside("muster init --name alpha")?;
    ensure!(said.contains("/etc/muster/ca/ca.key"), "{said}");
    ensure!(!said.contains("start it:"), "{said}");
    booted.prints(
        "systemctl is-active muster.service muster.socket; systemctl is-enabled muster.service \
         muster.socket",
        "active\nactive\nenabled\nenabled",
    )?;
    booted.prints(
        "stat -c '%a %U' /var/lib/muster/tls/node.key /var/lib/muster/authority/authority.key \
         /etc/muster/ca/ca.key",
        "600 muster\n600 muster\n600 root",
    )?;
    let said = booted.fails("muster init --name alpha")?;
    ensure!(said.contains("a node already"), "{said}");
    // Its own user can sign, and renew its certificate without a restart.
    booted.prints("muster members | cut -f 1,2", "alpha\talive")?;
    booted.inside("muster invite --ttl 1h && muster authority renew")?;
    booted.prints("systemctl show -P NRestarts muster", "0")?;
    booted.inside("systemctl restart muster")?;
    booted.prints("muster invitations | cut -f 2,3", "open\t0 of 1")
}
