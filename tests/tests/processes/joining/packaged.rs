//! From nothing to a second host that is a member, with the packages, on two booted hosts.

use crate::booted::Booted;
use crate::packages;
use anyhow::ensure;
use std::time::Instant;

const INSTALL: &str =
    "DEBIAN_FRONTEND=noninteractive apt-get -q -y install /var/tmp/muster_[0-9]*.deb";

#[test]
fn two_commands_on_two_installed_hosts_make_a_cluster_of_two() -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        eprintln!(
            "NOT RUN, needs root to boot containers: \
            two_commands_on_two_installed_hosts_make_a_cluster_of_two"
        );
        return Ok(());
    }
    let deb = packages::deb()?;
    let (alpha, beta) = (Booted::start(&[&deb])?, Booted::start(&[&deb])?);
    alpha.connect(&beta, ["10.99.0.1/24", "10.99.0.2/24"])?;
    let begun = Instant::now();
    for host in [&alpha, &beta] {
        host.inside(INSTALL)?;
    }
    let installed = begun.elapsed();
    alpha.inside("muster init --name alpha")?;
    let token = alpha.inside("muster invite")?;
    let token = token.trim();

    // Whatever fails leaves the host as the package made it.
    let before = "find /etc/muster /var/lib/muster /etc/systemd/system | sort";
    let bare = beta.inside(before)?;
    let last = if token.ends_with('a') { 'b' } else { 'a' };
    let other = format!("{}{last}", &token[..token.len() - 1]);
    for (line, sentence) in [
        (
            format!("10.99.0.1:6878 --token {other}"),
            "not copied right",
        ),
        (
            format!("10.99.0.1:6879 --token {token}"),
            "nobody answers at 10.99.0.1:6879 (UDP)",
        ),
        (
            format!("10.99.0.1:6878 --token {token} --name alpha"),
            "the name alpha is taken",
        ),
    ] {
        let said = beta.fails(&format!("muster join {line}"))?;
        ensure!(
            said.contains(sentence) && said.trim().lines().count() == 1,
            "{said}"
        );
        ensure!(beta.inside(before)? == bare, "{said}");
    }

    let said = beta.inside(&format!(
        "muster join 10.99.0.1:6878 --token {token} --name beta"
    ))?;
    ensure!(
        said.contains("joined by alpha: 2 of 2 nodes reached"),
        "{said}"
    );
    eprintln!(
        "two hosts are a cluster {:.1} s after their packages were to be installed, which took {:.1} s",
        begun.elapsed().as_secs_f32(),
        installed.as_secs_f32()
    );
    for host in [&alpha, &beta] {
        host.prints("muster members | cut -f 1,2", "alpha\talive\nbeta\talive")?;
    }
    alpha.inside("muster add chores 'feed the cat'")?;
    beta.prints("muster show chores | grep -c 'feed the cat'", "1")?;
    restarted_and_revoked(&alpha, &beta)
}

/// It is a member again after both hosts' daemons were restarted, and reaches nobody once revoked.
fn restarted_and_revoked(alpha: &Booted, beta: &Booted) -> anyhow::Result<()> {
    for host in [alpha, beta] {
        host.inside("systemctl restart muster")?;
    }
    for host in [alpha, beta] {
        host.prints("muster members | cut -f 1,2", "alpha\talive\nbeta\talive")?;
    }
    alpha.inside("muster revoke beta --reason stolen")?;
    alpha.prints("muster members | cut -f 1,2", "alpha\talive")?;
    beta.inside("systemctl restart muster")?;
    beta.prints("muster members | cut -f 1,2", "alpha\tdown\nbeta\talive")?;
    alpha.prints("muster members | cut -f 1,2", "alpha\talive")
}
