//! What can be examined on this host alone, by whoever may read it.

use super::expiry::{self, Whose};
use super::{Finding, HERE, Level, disk};
use crate::config::{Config, Http};
use crate::host::accounts::unknown_users;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// A node with fewer open files than this cannot serve its clients and watch processes, too.
const FEW_FILES: u64 = 4096;

/// Examines it; blocks on the disk.
pub(crate) fn examine(config: &Config, now_s: i64) -> Vec<Finding> {
    let mut findings = certificates(config, now_s);
    findings.extend(listener(&config.http, now_s));
    findings.push(data_dir(&config.data_dir));
    findings.push(disk::space(&config.data_dir));
    findings.push(disk::sync(&config.data_dir));
    findings.push(socket(&config.api.socket));
    findings.extend(administrators(&config.api.admins));
    findings
}

/// The three files, checked as at a start: whether they can be read by others, belong together and
/// are good today.
fn certificates(config: &Config, now_s: i64) -> Vec<Finding> {
    match pki::Identity::load(&config.tls.ca, &config.tls.cert, &config.tls.key) {
        Err(error) => {
            let remedy = "a restart would fail: put right what it says; muster pki issue NAME \
                --renew makes a new certificate";
            vec![Finding::critical(
                "certificates",
                HERE,
                error.to_string(),
                remedy,
            )]
        }
        Ok(identity) => {
            let of = |whose, name: &str, at_s| {
                let (level, words) = expiry::judge(whose, at_s, now_s);
                Finding::of_level(
                    level,
                    name,
                    HERE,
                    format!("the {name} {words}"),
                    expiry::remedy(whose),
                )
            };
            vec![
                Finding::good(
                    "key file",
                    HERE,
                    "the key fits the certificate, and only its owner \
                    can read it",
                ),
                of(Whose::Node, "certificate", identity.not_after()),
                of(
                    Whose::Authority,
                    "authority",
                    identity.authority_not_after(),
                ),
            ]
        }
    }
}

/// The certificate of the TCP listener, if it has one, likewise.
fn listener(http: &Http, now_s: i64) -> Option<Finding> {
    let check = "http certificate";
    let (certificate, key) = (http.tls_cert.as_ref()?, http.tls_key.as_ref()?);
    let found = match pki::Server::load(certificate, key) {
        Err(error) => Finding::critical(
            check,
            HERE,
            error.to_string(),
            "a restart would fail: put right what it says",
        ),
        Ok(server) => {
            let (level, words) = expiry::judge(Whose::Listener, server.not_after(), now_s);
            Finding::of_level(
                level,
                check,
                HERE,
                format!("the TCP listener's certificate {words}"),
                expiry::remedy(Whose::Listener),
            )
        }
    };
    Some(found)
}

/// Names in `[api] admins` that are nobody's; nothing where there are none.
fn administrators(admins: &[String]) -> Option<Finding> {
    let unknown = unknown_users(admins);
    (!unknown.is_empty()).then(|| {
        Finding::warning(
            "administrators",
            HERE,
            format!(
                "[api] admins names users that this host does not know: {}",
                unknown.join(", ")
            ),
            "users are known by /etc/passwd, others by their number: put it right and reload",
        )
    })
}

fn data_dir(dir: &Path) -> Finding {
    let check = "data directory";
    match std::fs::metadata(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Finding::critical(
            check,
            HERE,
            format!("{} is not there", dir.display()),
            "musterd makes it at its first start; see whether its disk is mounted",
        ),
        Err(error) => Finding::critical(
            check,
            HERE,
            format!("{}: {error}", dir.display()),
            "examine it as root or as the daemon's user",
        ),
        Ok(found) if !found.is_dir() => Finding::critical(
            check,
            HERE,
            format!("{} is no directory", dir.display()),
            "set data_dir to a directory",
        ),
        Ok(found) if found.mode() & 0o077 != 0 => {
            let what = format!(
                "{} has mode {:04o}: others can look into \
                it",
                dir.display(),
                found.mode() & 0o7777
            );
            Finding::warning(check, HERE, what, format!("chmod 700 {}", dir.display()))
        }
        Ok(found) => Finding::good(
            check,
            HERE,
            format!(
                "{} is its owner's alone (uid \
            {})",
                dir.display(),
                found.uid()
            ),
        ),
    }
}

fn socket(path: &Path) -> Finding {
    let check = "socket";
    match std::fs::symlink_metadata(path) {
        Err(error) => {
            let what = format!("{}: {error}", path.display());
            Finding::critical(
                check,
                HERE,
                what,
                "start the daemon: it makes the socket \
                (systemctl start muster.socket muster)",
            )
        }
        Ok(found) if !found.file_type().is_socket() => Finding::critical(
            check,
            HERE,
            format!("{} is no socket", path.display()),
            "move that file away, then restart the daemon",
        ),
        Ok(found) if found.mode() & 0o007 != 0 => {
            let what = format!(
                "{} has mode {:04o}: everybody on this host can change \
                lists",
                path.display(),
                found.mode() & 0o777
            );
            Finding::warning(
                check,
                HERE,
                what,
                format!(
                    "chmod 660 {}, and put who may use it \
                into its group",
                    path.display()
                ),
            )
        }
        Ok(found) => {
            let what = format!(
                "{} has mode {:04o}, group \
                {}",
                path.display(),
                found.mode() & 0o777,
                found.gid()
            );
            Finding::good(check, HERE, what)
        }
    }
}

/// The limit of open files of this very process.
pub(crate) fn open_files() -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let level = if limit.is_some_and(|limit| limit < FEW_FILES) {
        Level::Warning
    } else {
        Level::Good
    };
    let what = limit.map_or_else(
        || "open files are not limited".to_owned(),
        |limit| format!("at most {limit} open files"),
    );
    Finding::of_level(
        level,
        "open files",
        HERE,
        what,
        "raise the daemon's hard limit \
        (LimitNOFILE=65536 in its unit), then restart it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn administrators_that_nobody_is_are_told() {
        let admins = |name: &str| [name.to_owned()];
        assert!(administrators(&admins("root")).is_none());
        let found = administrators(&admins("no-such-user")).unwrap();
        assert!(found.level == Level::Warning && found.what.ends_with("no-such-user"));
    }

    #[test]
    fn what_others_may_touch_is_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let open = data_dir(dir.path());
        assert!(
            open.level == Level::Warning
                && open
                    .remedy
                    .is_some_and(|remedy| remedy.starts_with("chmod 700")),
            "{}",
            open.what
        );
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
        assert_eq!(data_dir(dir.path()).level, Level::Good);
        let path = dir.path().join("s");
        assert_eq!(socket(&path).level, Level::Critical);
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        assert_eq!(socket(&path).level, Level::Warning);
        std::fs::set_permissions(&path, Permissions::from_mode(0o660)).unwrap();
        assert_eq!(socket(&path).level, Level::Good);
    }
}
