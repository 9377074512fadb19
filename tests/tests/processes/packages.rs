//! The packages, made of the programs of this build: what is in them, and what those who check
//! packages say.

use crate::fleet::{program, run};
use anyhow::{Context, anyhow, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Makes both, or finds them made by another test of this process.
fn built() -> anyhow::Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || {
        let (out, programs) = (
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages"),
            program("muster"),
        );
        let programs = programs.parent().context("a program is in a directory")?;
        let mut script = Command::new(repository().join("daemon/packaging/build"));
        run(script
            .arg("--quick")
            .arg("--programs")
            .arg(programs)
            .arg("--out")
            .arg(&out))?;
        Ok::<_, anyhow::Error>(out)
    };
    BUILT
        .get_or_init(|| build().map_err(|error| format!("{error:#}")))
        .as_deref()
        .map_err(|error| anyhow!("{error}"))
}

/// The package for Debian.
pub(crate) fn deb() -> anyhow::Result<PathBuf> {
    let architecture = run(Command::new("dpkg").arg("--print-architecture"))?;
    Ok(built()?.join(format!(
        "muster_{}_{}.deb",
        env!("CARGO_PKG_VERSION"),
        architecture.trim()
    )))
}

/// The same in a next version, whose example of a configuration says something new.
pub(crate) fn next_deb(dir: &Path) -> anyhow::Result<PathBuf> {
    let (tree, next) = (dir.join("next"), dir.join("muster_next.deb"));
    run(Command::new("dpkg-deb")
        .arg("--raw-extract")
        .arg(deb()?)
        .arg(&tree))?;
    for (file, from, to) in [
        ("DEBIAN/control", "\nVersion: ", "\nVersion: 99."),
        ("etc/muster/muster.toml", "# The settings", "# All settings"),
    ] {
        let path = tree.join(file);
        let text = std::fs::read_to_string(&path)?;
        ensure!(text.contains(from), "{file}: {text}");
        std::fs::write(path, text.replacen(from, to, 1))?;
    }
    run(Command::new("dpkg-deb")
        .args(["--root-owner-group", "-Zgzip", "-z1", "--build"])
        .arg(&tree)
        .arg(&next))?;
    Ok(next)
}

/// The package for Fedora and its relatives.
pub(crate) fn rpm() -> anyhow::Result<PathBuf> {
    let architecture = run(Command::new("rpm").args(["--eval", "%{_arch}"]))?;
    Ok(built()?.join(format!(
        "muster-{}-1.{}.rpm",
        env!("CARGO_PKG_VERSION"),
        architecture.trim()
    )))
}

/// What is installed by every kind of package.
const EVERYWHERE: &[&str] = &[
    "/etc/muster/muster.toml",
    "/usr/bin/muster",
    "/usr/bin/musterd",
    "/usr/lib/systemd/system/muster.service",
    "/usr/lib/systemd/system/muster.socket",
    "/usr/lib/sysusers.d/muster.conf",
    "/usr/share/bash-completion/completions/muster",
    "/usr/share/doc/muster/NEWS.gz",
    "/usr/share/fish/vendor_completions.d/muster.fish",
    "/usr/share/man/man1/muster-add.1.gz",
    "/usr/share/man/man1/muster.1.gz",
    "/usr/share/man/man5/muster.toml.5.gz",
    "/usr/share/man/man8/musterd.8.gz",
];

fn holds(listing: &str, more: &[&str]) -> anyhow::Result<()> {
    let files: BTreeSet<&str> = listing.lines().collect();
    for file in EVERYWHERE.iter().chain(more) {
        ensure!(files.contains(file), "{file} is missing:\n{listing}");
    }
    Ok(())
}

#[test]
fn lintian_finds_nothing_wrong_with_the_deb() -> anyhow::Result<()> {
    let mut lintian = Command::new("lintian");
    let said = lintian
        .args([
            "--allow-root",
            "--fail-on",
            "error,warning",
            "--tag-display-limit",
            "0",
        ])
        .arg(deb()?)
        .output()?;
    let words = String::from_utf8(said.stdout)?;
    ensure!(
        said.status.success() && words.is_empty(),
        "{words}{}",
        String::from_utf8_lossy(&said.stderr)
    );
    Ok(())
}

#[test]
fn the_deb_holds_all_and_keeps_the_configuration() -> anyhow::Result<()> {
    let deb = deb()?;
    let listing = run(Command::new("sh")
        .args([
            "-c",
            "dpkg-deb --fsys-tarfile \"$1\" | tar -t | \
        sed 's/^.//'",
            "sh",
        ])
        .arg(&deb))?;
    holds(
        &listing,
        &[
            "/usr/share/zsh/vendor-completions/_muster",
            "/usr/share/doc/muster/copyright",
            "/usr/share/doc/muster/changelog.gz",
        ],
    )?;
    let field = |name| run(Command::new("dpkg-deb").arg("--field").arg(&deb).arg(name));
    ensure!(field("Version")?.trim() == env!("CARGO_PKG_VERSION"));
    let depends = field("Depends")?;
    ensure!(
        depends.contains("libc6") && depends.contains("systemd"),
        "{depends}"
    );
    ensure!(
        run(Command::new("dpkg-deb")
            .args(["--info"])
            .arg(&deb)
            .arg("conffiles"))?
        .trim()
            == "/etc/muster/muster.toml"
    );
    Ok(())
}

#[test]
fn the_rpm_holds_all_and_installs_into_an_empty_root() -> anyhow::Result<()> {
    let (rpm, dir) = (rpm()?, TempDir::with_prefix("rpm")?);
    let query = |words: &[&str]| {
        run(Command::new("rpm")
            .arg("--dbpath")
            .arg(dir.path().join("none"))
            .arg("-qp")
            .args(words)
            .arg(&rpm))
    };
    holds(
        &query(&["--list"])?,
        &[
            "/usr/share/zsh/site-functions/_muster",
            "/usr/share/licenses/muster/LICENSE-MIT",
            "/etc/muster/tls",
        ],
    )?;
    ensure!(query(&["--configfiles"])?.trim() == "/etc/muster/muster.toml");
    ensure!(
        query(&[
            "--queryformat",
            "%{VERSION}-%{RELEASE} \
        %{LICENSE}"
        ])? == concat!(env!("CARGO_PKG_VERSION"), "-1 MIT OR Apache-2.0")
    );
    let needs = query(&["--requires"])?;
    ensure!(
        needs.contains("systemd >= 250") && needs.contains("libc.so.6"),
        "{needs}"
    );
    let scripts = query(&["--queryformat", "%{POSTIN}\n%{PREUN}\n%{POSTUN}\n"])?;
    let checked = Command::new("sh").args(["-n", "-c", &scripts]).output()?;
    ensure!(
        checked.status.success() && scripts.contains("systemd-sysusers muster.conf"),
        "{scripts}{checked:?}"
    );

    if !rustix::process::geteuid().is_root() {
        eprintln!(
            "NOT RUN, needs root to install: \
            the_rpm_holds_all_and_installs_into_an_empty_root"
        );
        return Ok(());
    }
    let root = dir.path().join("root");
    let install = |words: &[&str]| {
        run(Command::new("rpm")
            .arg("--root")
            .arg(&root)
            .args(["--nodeps", "--noscripts"])
            .args(words))
    };
    install(&["--install", &rpm.display().to_string()])?;
    ensure!(install(&["--verify", "muster"])?.is_empty());
    std::fs::write(
        root.join("etc/muster/muster.toml"),
        "[log]\nlevel = \"debug\"\n",
    )?;
    install(&["--erase", "muster"])?;
    ensure!(
        !root.join("usr/bin/muster").exists()
            && root.join("etc/muster/muster.toml.rpmsave").exists()
    );
    Ok(())
}

#[test]
fn the_manual_pages_are_formatted_without_a_complaint() -> anyhow::Result<()> {
    let dir = TempDir::with_prefix("manual")?;
    run(Command::new(program("muster"))
        .arg("manual")
        .arg(dir.path()))?;
    let mut pages = 0;
    for page in std::fs::read_dir(dir.path())? {
        let page = page?.path();
        let mut man = Command::new("man");
        man.args(["--warnings=all", "--encoding=utf8", "--local-file"])
            .arg(&page)
            .env("MANWIDTH", "80")
            .env("LC_ALL", "C.UTF-8");
        let output = man.output()?;
        let (text, said) = (
            String::from_utf8(output.stdout)?,
            String::from_utf8(output.stderr)?,
        );
        ensure!(
            output.status.success() && said.is_empty(),
            "{}: {said}",
            page.display()
        );
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"] {
            ensure!(
                text.contains(section),
                "{} has no {section}: {text}",
                page.display()
            );
        }
        pages += 1;
    }
    ensure!(pages > 30, "{pages} pages");
    Ok(())
}
