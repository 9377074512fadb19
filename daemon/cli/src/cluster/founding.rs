//! `muster init` and `muster join --token`: a host becomes a node.

use crate::args::{Init, Join};
use crate::failure::Failure;
use crate::output::Output;
use crate::program::{Joined, Joining, Placing, Program, SetupError};
use crate::session::DEFAULT_TIMEOUT;
use crate::text::printable;
use api::cluster::PartitionView;
use client::Client;
use serde_json::json;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a new node may take to be seen, when nobody says.
const ARRIVAL: Duration = Duration::from_secs(60);
/// How often it is asked.
const LOOK: Duration = Duration::from_millis(200);
/// Where systemd runs, it makes this directory (sd_booted(3)).
const SYSTEMD: &str = "/run/systemd/system";
/// Where administrators add to units.
const UNITS: &str = "/etc/systemd/system";
/// The longest token with what may stand around it.
const MAX_TOKEN_BYTES: u64 = 4096;

/// `muster init`.
pub(crate) async fn init(
    args: &Init,
    timeout: Option<Duration>,
    output: &Output,
    program: &Program,
) -> Result<(), Failure> {
    let placing = Placing {
        name: args.name.clone(),
        config: args.config.clone(),
    };
    let founded = (program.init)(&placing)?;
    let is_started = start(founded.is_default, &founded.key)?;
    if is_started {
        arrived(&founded.socket, 1, timeout).await?;
    }
    if output.is_json() {
        return output.json(&json!({
            "name": founded.name, "id": founded.id, "cluster": founded.cluster,
            "config": founded.config, "authority_key": founded.authority_key, "started": is_started,
        }));
    }
    let name = printable(&founded.name);
    let key = printable(&founded.authority_key.display().to_string());
    output.line(&format!("made {name} the first node of a new cluster"))?;
    output.line(&format!(
        "the cluster's key is {key}: take it off this host, to where you keep such keys; {name} signs \
         for new nodes with a key of its own below that one"
    ))?;
    if !is_started {
        output.line(&to_start(&founded.config))?;
    }
    let at = if founded.is_default {
        String::new()
    } else {
        format!(
            "--socket {} ",
            printable(&founded.socket.display().to_string())
        )
    };
    output.line(&format!("invite the next host: muster {at}invite"))
}

/// `muster join` with a token.
pub(crate) async fn join(
    args: &Join,
    token: &str,
    timeout: Option<Duration>,
    output: &Output,
    program: &Program,
) -> Result<(), Failure> {
    let [address] = args.addresses.as_slice() else {
        let words = "a host joins by one node: give one host:port";
        return Err(Failure::Usage(words.to_owned()));
    };
    let joining = Joining {
        placing: Placing {
            name: args.name.clone(),
            config: args.config.clone(),
        },
        address: address.clone(),
        token: read_token(token)?,
    };
    let joined = (program.join)(&joining)?;
    let is_started = start(joined.is_default, &joined.key)?;
    if !is_started && args.wait {
        // Whoever starts it must hear that it can be started.
        eprintln!("muster: {}", to_start(&joined.config));
    }
    let partition = if is_started || args.wait {
        // An observer does not count itself.
        let nodes = if joined.role.is_observer() { 1 } else { 2 };
        Some(arrived(&joined.socket, nodes, timeout).await?)
    } else {
        None
    };
    tell(output, &joined, partition.as_ref())
}

fn tell(output: &Output, joined: &Joined, seen: Option<&PartitionView>) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&json!({
            "name": joined.name, "id": joined.id, "role": joined.role, "by": joined.by, "config": joined.config,
            "started": seen.is_some(),
            "expected": seen.map(|seen| seen.expected), "reachable": seen.map(|seen| seen.reachable),
        }));
    }
    let (by, name) = (printable(&joined.by), printable(&joined.name));
    let by = if joined.role.is_observer() {
        format!("{by} as an observer")
    } else {
        by
    };
    match seen {
        Some(seen) => output.line(&format!(
            "joined by {by}: {} of {} nodes reached",
            seen.reachable, seen.expected
        )),
        None => {
            output.line(&format!("joined by {by}, as {name}"))?;
            output.line(&to_start(&joined.config))
        }
    }
}

fn to_start(config: &Path) -> String {
    let config = printable(&config.display().to_string());
    format!("start it: musterd --config {config}")
}

/// A token on the command line is seen by all users of the host while the command runs.
fn read_token(given: &str) -> Result<String, Failure> {
    if given != "-" {
        return Ok(given.to_owned());
    }
    let mut text = String::new();
    std::io::stdin()
        .take(MAX_TOKEN_BYTES)
        .read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

/// Starts the service, where systemd runs and the service reads that configuration; whether it did.
fn start(is_default: bool, key: &Path) -> Result<bool, Failure> {
    if !is_default || !Path::new(SYSTEMD).is_dir() || !has_unit() {
        return Ok(false);
    }
    let key = key.display();
    // The packages' units wait for files in /etc/muster/tls, which systemd hands to the daemon. These
    // are the daemon's own, so that it can renew them.
    let waits = format!("[Unit]\nConditionPathExists=\nConditionPathExists={key}\n");
    drop_in("muster.socket", &waits)?;
    drop_in(
        "muster.service",
        &format!("{waits}\n[Service]\nLoadCredential=\n"),
    )?;
    systemctl(&["daemon-reload"])?;
    systemctl(&["enable", "--quiet", "muster.socket", "muster.service"])?;
    systemctl(&["restart", "muster.socket", "muster.service"])?;
    Ok(true)
}

/// Adds to a unit of the packages.
fn drop_in(unit: &str, text: &str) -> Result<(), Failure> {
    let dir = Path::new(UNITS).join(format!("{unit}.d"));
    let file = dir.join("certificate.conf");
    let text = format!("# Made by \"muster init\" or \"muster join\".\n{text}");
    let written = std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(&file, text));
    written.map_err(|error| {
        Failure::Failed(format!(
            "this host is a node now, but {} cannot be written: {error}",
            file.display()
        ))
    })
}

/// Whether the packages' unit is installed.
fn has_unit() -> bool {
    let mut show = Command::new("systemctl");
    show.args(["cat", "muster.service"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    show.status().is_ok_and(|status| status.success())
}

fn systemctl(args: &[&str]) -> Result<(), Failure> {
    let done = Command::new("systemctl")
        .args(args)
        .stdin(Stdio::null())
        .output();
    let done = done.map_err(|error| Failure::Failed(format!("systemctl does not run: {error}")))?;
    if done.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&done.stderr);
    Err(Failure::Failed(format!(
        "this host is a node now, but its service does not start: {}; see systemctl status muster",
        printable(words.trim())
    )))
}

/// Waits until the daemon reaches all that it expects, and so many at least.
async fn arrived(
    socket: &Path,
    nodes: u64,
    timeout: Option<Duration>,
) -> Result<PartitionView, Failure> {
    let client = Client::new(socket, DEFAULT_TIMEOUT);
    let limit = timeout.unwrap_or(ARRIVAL);
    let begun = Instant::now();
    let mut seen = "its daemon does not answer".to_owned();
    while begun.elapsed() < limit {
        if let Ok(answer) = client.partition().await {
            let view = answer.value;
            if view.expected >= nodes && view.reachable == view.expected {
                return Ok(view);
            }
            seen = format!("it reaches {} of {} nodes", view.reachable, view.expected);
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(Failure::Timeout(format!(
        "this host is a node now, but after {} s {seen}; see muster status, muster doctor and the log",
        limit.as_secs()
    )))
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Usage(words) => Self::Usage(words),
            SetupError::Conflict(words) => Self::Conflict(words),
            SetupError::Failed(words) => Self::Failed(words),
        }
    }
}
