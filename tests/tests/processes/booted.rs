//! A booted systemd: a container whose disk is this host's, with all that is written kept in
//! memory.

use crate::fleet::{PATIENCE, run};
use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Mounted as the container's root, unmounted when it is dropped.
struct Disk(TempDir);

impl Disk {
    fn mount() -> anyhow::Result<Self> {
        let disk = Self(TempDir::with_prefix("booted")?);
        let (memory, root) = (disk.0.path().join("memory"), disk.root());
        std::fs::create_dir(&memory)?;
        std::fs::create_dir(&root)?;
        run(Command::new("mount")
            .args(["-t", "tmpfs", "tmpfs"])
            .arg(&memory))?;
        std::fs::create_dir(memory.join("new"))?;
        std::fs::create_dir(memory.join("work"))?;
        let layers = format!(
            "lowerdir=/,upperdir={0}/new,workdir={0}/work",
            memory.display()
        );
        run(Command::new("mount")
            .args(["-t", "overlay", "overlay", "-o", &layers])
            .arg(&root))?;
        disk.forget_the_host()?;
        Ok(disk)
    }

    /// What makes this host, or the image that it came from, other than a usual one.
    fn forget_the_host(&self) -> anyhow::Result<()> {
        let root = self.root();
        // Its own id; a first boot would ask questions.
        std::fs::write(root.join("etc/machine-id"), "")?;
        // Images forbid services to start, and leave manual pages out. To index them, or what could
        // be downloaded, takes time.
        for path in [
            "usr/sbin/policy-rc.d",
            "etc/dpkg/dpkg.cfg.d",
            "var/lib/man-db/auto-update",
            "var/lib/apt/lists",
        ] {
            run(Command::new("rm").arg("-rf").arg(root.join(path)))?;
        }
        Ok(())
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for mounted in ["root", "memory"] {
            let _ = Command::new("umount")
                .arg("--lazy")
                .arg(self.0.path().join(mounted))
                .status();
        }
    }
}

/// A container, ended when it is dropped; before its disk.
pub(crate) struct Booted {
    nspawn: Child,
    leader: String,
    disk: Disk,
}

impl Booted {
    /// Boots one with these files in `/var/tmp`.
    pub(crate) fn start(files: &[&Path]) -> anyhow::Result<Self> {
        let disk = Disk::mount()?;
        run(Command::new("cp")
            .args(files)
            .arg(disk.root().join("var/tmp")))?;
        let mut nspawn = Command::new("systemd-nspawn");
        nspawn
            .args([
                "-q",
                "--register=no",
                "--keep-unit",
                "--private-network",
                "--console=pipe",
                "-D",
            ])
            .arg(disk.root());
        // Not what else is installed on this host.
        nspawn.args(["/usr/lib/systemd/systemd", "--unit=basic.target"]);
        let console = std::fs::File::create(disk.0.path().join("console"))?;
        let nspawn = nspawn
            .stdin(Stdio::null())
            .stdout(console.try_clone()?)
            .stderr(console)
            .spawn()?;
        let mut booted = Self {
            nspawn,
            leader: String::new(),
            disk,
        };
        let children = format!("/proc/{0}/task/{0}/children", booted.nspawn.id());
        // The first process that nspawn starts only makes the container's first one, and ends.
        until("it has booted", || {
            let found = std::fs::read_to_string(&children)?;
            booted.leader = found.split_whitespace().last().unwrap_or_default().into();
            ensure!(!booted.leader.is_empty(), "nspawn has no process yet");
            booted.inside("systemctl is-active basic.target")
        })?;
        Ok(booted)
    }

    /// Joins the networks of two containers by a cable, with these addresses at its ends.
    pub(crate) fn connect(&self, other: &Self, addresses: [&str; 2]) -> anyhow::Result<()> {
        let mut cable = Command::new("ip");
        cable
            .args([
                "link",
                "add",
                "cable",
                "netns",
                &self.leader,
                "type",
                "veth",
            ])
            .args(["peer", "name", "cable", "netns", &other.leader]);
        run(&mut cable)?;
        for (end, address) in [self, other].into_iter().zip(addresses) {
            end.inside(&format!(
                "ip link set lo up && ip address add {address} dev cable && ip link set cable up"
            ))?;
        }
        Ok(())
    }

    /// Whether there is such a path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.disk.root().join(path.trim_start_matches('/')).exists()
    }

    /// Runs a shell's line in the container; it must succeed.
    pub(crate) fn inside(&self, line: &str) -> anyhow::Result<String> {
        run(&mut self.shell(line))
    }

    /// The same; it must fail, and what it said is returned.
    pub(crate) fn fails(&self, line: &str) -> anyhow::Result<String> {
        let output = self.shell(line).output().with_context(|| line.to_owned())?;
        let said = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat();
        ensure!(!output.status.success(), "it was to fail: {line}\n{said}");
        Ok(said)
    }

    fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args([
            "-t",
            &self.leader,
            "-m",
            "-u",
            "-i",
            "-n",
            "-p",
            "-r",
            "-w",
            "--",
            "sh",
            "-c",
            line,
        ]);
        command
    }

    /// Waits until a line prints that.
    pub(crate) fn prints(&self, line: &str, expected: &str) -> anyhow::Result<()> {
        until(line, || {
            let printed = self.inside(line)?;
            ensure!(
                printed.trim() == expected,
                "{printed}\n{}",
                self.inside("journalctl -u muster --no-pager | tail -30")?
            );
            Ok(())
        })
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        // Everything in the container ends with its first process, which would outlive the program
        // that booted it.
        let _ = Command::new("kill").args(["-KILL", &self.leader]).status();
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
    }
}

fn until<T>(what: &str, mut attempt: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        match attempt() {
            Err(error) if begun.elapsed() > PATIENCE => {
                return Err(error.context(format!("in vain: {what}")));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
            done => return done,
        }
    }
}
