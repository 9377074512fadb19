//! Tells the program which revision it was built from, and when.
//!
//! Packagers set `MUSTER_REVISION` and `SOURCE_DATE_EPOCH`; otherwise git and the clock are asked.
//! Without git, as in a tarball, the revision is unknown.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=MUSTER_REVISION");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let given = std::env::var("MUSTER_REVISION")
        .ok()
        .filter(|revision| !revision.is_empty());
    let revision = given
        .or_else(from_git)
        .unwrap_or_else(|| "unknown".to_owned());
    let epoch = std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|text| text.parse::<u64>().ok())
        .unwrap_or_else(now);
    println!("cargo::rustc-env=MUSTER_REVISION={revision}");
    println!("cargo::rustc-env=MUSTER_BUILD_EPOCH={epoch}");
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The commit that is checked out. Only if this crate is part of the repository: a tarball may have
/// been unpacked inside of another one.
fn from_git() -> Option<String> {
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    // A file that does not exist would make cargo run this at every build.
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(words)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
