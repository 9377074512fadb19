//! The units in a booted systemd: a container whose disk is this host's, with all that is written kept in memory.

use crate::fleet::{PATIENCE, program, run};
use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use tempfile::TempDir;

/// Mounted as the container's root, unmounted when it is dropped.
struct Disk(TempDir);

impl Disk {
    fn mount() -> anyhow::Result<Self> {
        let disk = Self(TempDir::with_prefix("booted")?);
        let (memory, root) = (disk.0.path().join("memory"), disk.root());
        std::fs::create_dir(&memory)?;
        std::fs::create_dir(&root)?;
        run(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&memory))?;
        std::fs::create_dir(memory.join("new"))?;
        std::fs::create_dir(memory.join("work"))?;
        let layers = format!("lowerdir=/,upperdir={0}/new,workdir={0}/work", memory.display());
        run(Command::new("mount").args(["-t", "overlay", "overlay", "-o", &layers]).arg(&root))?;
        Ok(disk)
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    /// Puts in place what a package would, and a certificate.
    fn install(&self) -> anyhow::Result<()> {
        let (root, packaging) = (self.root(), Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/packaging"));
        for (file, place) in [
            (program("muster"), "usr/bin/muster"),
            (program("musterd"), "usr/bin/musterd"),
            (packaging.join("muster.service"), "usr/lib/systemd/system/muster.service"),
            (packaging.join("muster.socket"), "usr/lib/systemd/system/muster.socket"),
            (packaging.join("muster.sysusers"), "usr/lib/sysusers.d/muster.conf"),
            (packaging.join("muster.toml"), "etc/muster/muster.toml"),
        ] {
            let place = root.join(place);
            std::fs::create_dir_all(place.parent().context("a place has a directory")?)?;
            std::fs::copy(&file, &place).with_context(|| file.display().to_string())?;
        }
        // The overlay shows this host's own id, and a first boot would ask questions.
        std::fs::write(root.join("etc/machine-id"), "")?;
        let ca = self.0.path().join("ca");
        run(Command::new(program("muster")).args(["pki", "init", "--dir"]).arg(&ca))?;
        run(Command::new(program("muster")).args(["pki", "issue", "n1", "--dir"]).arg(&ca).arg("--out").arg(root.join("etc/muster/tls")))?;
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for mounted in ["root", "memory"] {
            let _ = Command::new("umount").arg("--lazy").arg(self.0.path().join(mounted)).status();
        }
    }
}

/// A container, ended when it is dropped; before its disk.
struct Booted {
    nspawn: Child,
    leader: String,
    _disk: Disk,
}

impl Booted {
    fn start() -> anyhow::Result<Self> {
        let disk = Disk::mount()?;
        disk.install()?;
        let mut nspawn = Command::new("systemd-nspawn");
        nspawn.args(["-q", "--register=no", "--keep-unit", "--private-network", "--console=pipe", "-D"]).arg(disk.root());
        // Not what else is installed on this host.
        nspawn.args(["/usr/lib/systemd/systemd", "--unit=basic.target"]);
        let console = std::fs::File::create(disk.0.path().join("console"))?;
        let nspawn = nspawn.stdin(Stdio::null()).stdout(console.try_clone()?).stderr(console).spawn()?;
        let mut booted = Self { nspawn, leader: String::new(), _disk: disk };
        let children = format!("/proc/{0}/task/{0}/children", booted.nspawn.id());
        booted.leader = until("the container has a first process", || {
            let found = std::fs::read_to_string(&children)?.trim().to_owned();
            ensure!(!found.is_empty());
            Ok(found)
        })?;
        until("it has booted", || booted.inside("systemctl is-active basic.target"))?;
        Ok(booted)
    }

    /// Runs a shell's line in the container; it must succeed.
    fn inside(&self, line: &str) -> anyhow::Result<String> {
        run(Command::new("nsenter").args(["-t", &self.leader, "-m", "-u", "-i", "-n", "-p", "-r", "-w", "--", "sh", "-c", line]))
    }

    /// Waits until a line prints that.
    fn prints(&self, line: &str, expected: &str) -> anyhow::Result<()> {
        until(line, || {
            let printed = self.inside(line)?;
            ensure!(printed.trim() == expected, "{printed}\n{}", self.inside("journalctl -u muster --no-pager | tail -30")?);
            Ok(())
        })
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
    }
}

fn until<T>(what: &str, attempt: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        match attempt() {
            Err(error) if begun.elapsed() > PATIENCE => return Err(error.context(format!("in vain: {what}"))),
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(100)),
            done => return done,
        }
    }
}

const PID: &str = "systemctl show -P MainPID muster";

#[test]
fn systemd_starts_reloads_and_restarts_the_daemon() -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("NOT RUN, needs root to boot a container: systemd_starts_reloads_and_restarts_the_daemon");
        return Ok(());
    }
    let booted = Booted::start()?;
    booted.inside("systemd-sysusers && systemctl start muster.socket")?;
    // Socket activation: the first client starts it. It is not root, and has one capability.
    booted.inside("muster add groceries bread && systemctl is-active muster")?;
    booted.prints("systemctl show -P StatusText muster", "1 of 1 members, 1 lists, whole")?;
    booted.prints(&format!("grep CapEff /proc/$({PID})/status | cut -f2"), "0000000000000020")?;
    booted.inside("useradd -G muster alice && su alice -c 'muster add groceries tea' && muster --json show groceries | grep alice@n1")?;
    ensure!(booted.inside("useradd bob && su bob -c 'muster lists'").is_err(), "the socket is for its group");

    booted.inside("printf '[log]\\nlevel = \"debug\"\\n' >/etc/muster/muster.toml && systemctl reload muster")?;
    ensure!(booted.inside("echo nonsense = 1 >/etc/muster/muster.toml; systemctl reload muster").is_err());
    booted.inside("systemctl is-active muster && : >/etc/muster/muster.toml")?;

    crash(&booted)?;
    hang(&booted)?;

    // The socket outlives the daemon. A mistake in the file is no reason to try again.
    booted.inside("systemctl stop muster && muster show groceries | grep bread")?;
    ensure!(booted.inside("echo nonsense = 1 >/etc/muster/muster.toml; systemctl restart muster").is_err());
    booted.prints("systemctl show -P NRestarts muster", "0")?;
    booted.inside(": >/etc/muster/muster.toml; systemctl reset-failed muster; systemctl stop muster.socket; systemctl start muster")?;

    // To leave is an end in order, after which nothing is started again.
    booted.inside("muster leave --force")?;
    booted.prints("systemctl show -P ActiveState -P Result muster | sort | xargs", "inactive success")
}

fn crash(booted: &Booted) -> anyhow::Result<()> {
    booted.inside(&format!("kill -9 $({PID})"))?;
    booted.prints("systemctl show -P NRestarts muster; systemctl is-active muster", "1\nactive")?;
    booted.inside("muster show groceries | grep bread").map(drop)
}

/// A stopped process feeds no watchdog: systemd kills it and starts another one.
fn hang(booted: &Booted) -> anyhow::Result<()> {
    let drop_in = "/run/systemd/system/muster.service.d";
    booted.inside(&format!("mkdir -p {drop_in} && printf '[Service]\\nWatchdogSec=3s\\n' >{drop_in}/soon.conf"))?;
    booted.inside("systemctl daemon-reload && systemctl restart muster")?;
    booted.inside(&format!("kill -STOP $({PID})"))?;
    booted.prints("systemctl show -P NRestarts muster; systemctl is-active muster", "1\nactive")?;
    booted.inside("journalctl -u muster --no-pager | grep 'Watchdog timeout'").map(drop)
}
