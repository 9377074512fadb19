//! Which revision a program was built from, and when.
//!
//! A macro, because a build script would not do: when its answer changes, Cargo compiles the whole
//! package again that it belongs to, and every package above. This changes with each commit. What a
//! macro read is a dependency of the one file that calls it, so a commit compiles the two `main.rs`
//! again and nothing else.
//!
//! Packagers set `MUSTER_REVISION` and `SOURCE_DATE_EPOCH`; otherwise git and the clock are asked.
//! Without git, as in a tarball, the revision is unknown.

#![warn(missing_docs)]

use proc_macro::TokenStream;
use std::env;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// `(&'static str, i64)`: the revision (12 hexadecimal digits, or `unknown`), and the time of the build
/// in seconds since the Unix epoch.
#[proc_macro]
pub fn built(_: TokenStream) -> TokenStream {
    let given = env::var("MUSTER_REVISION").ok();
    let given = given.filter(|revision| !revision.is_empty());
    let revision = given
        .or_else(from_git)
        .unwrap_or_else(|| "unknown".to_owned());
    let epoch = env::var("SOURCE_DATE_EPOCH").ok();
    let epoch = epoch.and_then(|text| text.parse().ok()).unwrap_or_else(now);
    // The constants only tell the compiler what the answer depends on.
    let watched: String = watched_files()
        .iter()
        .map(|path| format!("const _: &[u8] = include_bytes!({path:?});"))
        .collect();
    let code = format!(
        "{{ {watched}
            const _: [Option<&str>; 2] =
                [option_env!(\"MUSTER_REVISION\"), option_env!(\"SOURCE_DATE_EPOCH\")];
            ({revision:?}, {epoch}_i64) }}"
    );
    code.parse().unwrap_or_default()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0))
}

/// The commit that is checked out. Only if the calling package is part of the repository: a tarball
/// may have been unpacked inside of another one.
fn from_git() -> Option<String> {
    if !is_tracked() {
        return None;
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn is_tracked() -> bool {
    git(&["ls-files", "--error-unmatch", "Cargo.toml"]).is_some()
}

/// The files of git that change with the commit that is checked out.
fn watched_files() -> Vec<String> {
    if !is_tracked() {
        return Vec::new();
    }
    ["HEAD", "logs/HEAD"]
        .iter()
        .filter_map(|name| git(&["rev-parse", "--path-format=absolute", "--git-path", name]))
        .filter(|path| Path::new(path).exists())
        .collect()
}

fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(words)
        .current_dir(env::var_os("CARGO_MANIFEST_DIR")?)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
