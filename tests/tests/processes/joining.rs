//! From nothing to a second host by two commands, and all that can go wrong on the way.

mod interrupted;
mod observing;
mod packaged;
mod relayed;
mod renaming;
mod renewal;
mod revoking;
mod service;
mod withdrawing;

use crate::fleet::{Node, eventually, items, program, run};
use crate::http::Events;
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// Hosts of one machine, each with a directory of its own.
struct Hosts {
    dir: TempDir,
}

impl Hosts {
    fn new() -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("muster")?;
        Ok(Self { dir })
    }

    /// A host on which nothing but ports and paths is decided.
    fn bare(&self, name: &str) -> anyhow::Result<Node> {
        let node = Node::bare(self.dir.path(), name)?;
        std::fs::create_dir_all(&node.dir)?;
        let text = format!(
            "# Kept.\ndata_dir = \"data\"\n[api]\nsocket = \"s\"\n[quic]\nlisten = \"{}\"\n[http]\nlisten = \"127.0.0.1:0\"\n",
            node.address
        );
        std::fs::write(node.config(), text)?;
        Ok(node)
    }

    /// The first node of a cluster.
    fn made(&self, name: &str) -> anyhow::Result<Node> {
        let node = self.bare(name)?;
        run(Command::new(program("muster"))
            .args(["init", "--name", name, "--config"])
            .arg(node.config()))?;
        Ok(node)
    }

    /// The same, running.
    fn first(&self, name: &str) -> anyhow::Result<Node> {
        let mut node = self.made(name)?;
        node.start()?;
        Ok(node)
    }

    /// A further one, running.
    fn further(&self, name: &str, by: &Node) -> anyhow::Result<Node> {
        let mut node = self.bare(name)?;
        let joined = join(&node, by, &invite(by, &[])?)?;
        ensure!(joined.status.success(), "{}", words(&joined));
        node.start()?;
        Ok(node)
    }
}

/// `muster join` on the host of `node`.
fn joining(node: &Node, by: &Node, token: &str) -> Command {
    let mut command = Command::new(program("muster"));
    command
        .args(["join", &by.address.to_string(), "--token", token])
        .args(["--name", &node.name, "--config"])
        .arg(node.config())
        .stdin(Stdio::null());
    command
}

fn join(node: &Node, by: &Node, token: &str) -> anyhow::Result<Output> {
    Ok(joining(node, by, token).output()?)
}

fn words(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

fn invite(node: &Node, args: &[&str]) -> anyhow::Result<String> {
    let invited = node.muster(&[&["invite"], args].concat())?;
    ensure!(invited.status.success(), "{}", words(&invited));
    Ok(String::from_utf8(invited.stdout)?.trim().to_owned())
}

/// Demands that it failed with that code and one sentence, and left nothing behind.
fn is_refused(node: &Node, joined: &Output, code: i32, sentence: &str) -> anyhow::Result<()> {
    let said = words(joined);
    ensure!(joined.status.code() == Some(code), "{said}");
    ensure!(said.contains(sentence), "{said}");
    ensure!(said.trim().lines().count() == 1, "{said}");
    let left: Vec<PathBuf> = std::fs::read_dir(&node.dir)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    ensure!(left == [node.config()], "{left:?}");
    let config = std::fs::read_to_string(node.config())?;
    ensure!(!config.contains("[tls]"), "{config}");
    Ok(())
}

/// Waits until each of them reaches all.
async fn whole(nodes: &[&Node]) -> anyhow::Result<()> {
    for node in nodes {
        eventually(&format!("{} sees all", node.name), async || {
            let members = node.get("/v1/members").await?.json();
            let alive = items(&members)
                .iter()
                .filter(|member| member["state"] == "alive")
                .count();
            ensure!(alive == nodes.len(), "{members}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_commands_make_a_second_host_a_member() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let alpha = hosts.first("alpha")?;
    let mut beta = hosts.bare("beta")?;
    let mut events = Events::follow(&alpha.socket(), "/v1/events?kinds=member", None).await?;
    let token = invite(&alpha, &["--tag", "rack=7"])?;
    ensure!(token.starts_with("mj1-") && token.len() == 68, "{token}");
    let mut waiting = joining(&beta, &alpha, &token)
        .arg("--wait")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    eventually("its files are there", async || {
        let config = std::fs::read_to_string(beta.config())?;
        ensure!(config.contains("[tls]"), "{config}");
        Ok(())
    })
    .await?;
    beta.start()?;
    let status = waiting.wait()?;
    let mut said = String::new();
    std::io::Read::read_to_string(&mut waiting.stdout.take().context("it speaks")?, &mut said)?;
    ensure!(status.success(), "{said}");
    ensure!(said == "joined by alpha: 2 of 2 nodes reached\n", "{said}");
    whole(&[&alpha, &beta]).await?;
    let members = alpha.get("/v1/members?limit=10").await?.json();
    ensure!(items(&members)[1]["tags"] == json!(["rack=7"]), "{members}");
    let config = std::fs::read_to_string(beta.config())?;
    ensure!(config.starts_with("# Kept.\n"), "{config}");
    ensure!(config.contains(&alpha.address.to_string()), "{config}");
    let key = std::fs::metadata(beta.data.join("tls/node.key"))?;
    ensure!(std::os::unix::fs::PermissionsExt::mode(&key.permissions()) & 0o777 == 0o600);
    let admitted = loop {
        let (_, _, data) = events.next().await?;
        if data["type"] == "admitted" {
            break data;
        }
    };
    ensure!(admitted["name"] == "beta", "{admitted}");
    let detail = admitted["detail"].as_str().context("it says by what")?;
    ensure!(detail.contains("from 127.0.0.1:"), "{detail}");
    shown_with_address_and_name(&alpha).await?;
    again(&alpha, &beta)
}

/// The use of the token is an event, and stands beside the invitation.
async fn shown_with_address_and_name(alpha: &Node) -> anyhow::Result<()> {
    let invitations = alpha.get("/v1/invitations").await?.json();
    let invitation = &items(&invitations)[0];
    ensure!(invitation["state"] == "used", "{invitation}");
    let used = &invitation["used"][0];
    ensure!(used["name"] == "beta", "{used}");
    let address = used["address"].as_str().context("it has an address")?;
    ensure!(address.starts_with("127.0.0.1:"), "{address}");
    let text = invitations.to_string();
    ensure!(
        !text.contains("mj1-") && !text.contains("\"key\""),
        "{text}"
    );
    let recorded = alpha.get("/v1/debug/events").await?.json();
    ensure!(
        recorded.to_string().contains("a host was admitted"),
        "{recorded}"
    );
    let log = alpha.log();
    ensure!(log.contains("a host was admitted"), "{log}");
    Ok(())
}

/// What is a node already stays what it is.
fn again(alpha: &Node, beta: &Node) -> anyhow::Result<()> {
    let before = std::fs::read_to_string(beta.config())?;
    let joined = join(beta, alpha, &invite(alpha, &[])?)?;
    ensure!(joined.status.code() == Some(4), "{}", words(&joined));
    ensure!(
        words(&joined).contains("a node already"),
        "{}",
        words(&joined)
    );
    let made = Command::new(program("muster"))
        .args(["init", "--config"])
        .arg(alpha.config())
        .output()?;
    ensure!(made.status.code() == Some(4), "{}", words(&made));
    ensure!(before == std::fs::read_to_string(beta.config())?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_good_is_one_sentence_and_leaves_nothing() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let alpha = hosts.first("alpha")?;
    let beta = hosts.bare("beta")?;
    let refused = |token: &str, code, sentence: &str| {
        is_refused(&beta, &join(&beta, &alpha, token)?, code, sentence)
    };
    let token = invite(&alpha, &[])?;
    let mistyped = token.replacen("mj1-", "mj1-a", 1);
    refused(&mistyped, 2, "the token is not whole")?;
    let other = if token.ends_with('a') { "b" } else { "a" };
    refused(&format!("{}{other}", &token[..67]), 2, "not copied right")?;
    // Deleted.
    let invitations = alpha.get("/v1/invitations").await?.json();
    let id = items(&invitations)[0]["id"]
        .as_str()
        .context("an id")?
        .to_owned();
    ensure!(alpha.muster(&["uninvite", &id[..4]])?.status.success());
    refused(&token, 1, "the token was revoked")?;
    // Used.
    let token = invite(&alpha, &[])?;
    hosts_joins(&hosts, "gamma", &alpha, &token)?;
    refused(&token, 1, "used already, by gamma from 127.0.0.1:")?;
    // For another name; a name that is taken.
    let token = invite(&alpha, &["--name", "delta"])?;
    refused(
        &token,
        4,
        "the token is for the name delta, and not for beta",
    )?;
    let token = invite(&alpha, &[])?;
    let mut twin = hosts.bare("twin")?;
    twin.name = "alpha".to_owned();
    let joined = join(&twin, &alpha, &token)?;
    is_refused(&twin, &joined, 4, "the name alpha is taken")?;
    // Expired, also after a restart of the authority.
    let token = invite(&alpha, &["--ttl", "10s"])?;
    eventually("it expires", async || {
        let invitations = alpha.get("/v1/invitations").await?.json();
        let states: Vec<&Value> = items(&invitations)
            .iter()
            .map(|one| &one["state"])
            .collect();
        ensure!(states.contains(&&json!("expired")), "{invitations}");
        Ok(())
    })
    .await?;
    refused(&token, 1, "the token expired at ")
}

fn hosts_joins(hosts: &Hosts, name: &str, by: &Node, token: &str) -> anyhow::Result<Node> {
    let node = hosts.bare(name)?;
    let joined = join(&node, by, token)?;
    ensure!(joined.status.success(), "{}", words(&joined));
    Ok(node)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stands_between_or_does_not_answer_is_told_nothing() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let (alpha, other) = (hosts.first("alpha")?, hosts.first("other")?);
    let beta = hosts.bare("beta")?;
    let token = invite(&alpha, &[])?;
    // Another cluster's node where the token's should be.
    let joined = join(&beta, &other, &token)?;
    is_refused(&beta, &joined, 1, "is of another cluster than the token")?;
    // A port at which packets vanish.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let mut nobody = hosts.bare("nobody")?;
    nobody.address = silent.local_addr()?;
    let joined = join(&beta, &nobody, &token)?;
    is_refused(&beta, &joined, 1, "nobody answers at 127.0.0.1:")?;
    // A host whose clock is wrong by years.
    let mut late = Command::new("faketime");
    late.arg("2019-01-01 00:00:00").arg(program("muster"));
    late.args(joining(&beta, &alpha, &token).get_args());
    let joined = late.stdin(Stdio::null()).output()?;
    is_refused(
        &beta,
        &joined,
        1,
        "by this host's clock, which says 2019-01-01T",
    )?;
    // None of that has used the token.
    let joined = join(&beta, &alpha, &token)?;
    ensure!(joined.status.success(), "{}", words(&joined));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_no_authority_relays() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let mut alpha = hosts.first("alpha")?;
    let beta = hosts.further("beta", &alpha)?;
    whole(&[&alpha, &beta]).await?;
    // It invites nobody itself, and says who does.
    let refused = beta
        .call("POST", "/v1/invitations", Some(&json!({})))
        .await?;
    ensure!(refused.status == 409, "{refused:?}");
    let detail = refused.json()["detail"].to_string();
    ensure!(detail.contains("ask there: alpha"), "{detail}");
    let token = invite(&alpha, &["--uses", "2"])?;
    let mut gamma = hosts.bare("gamma")?;
    let joined = join(&gamma, &beta, &token)?;
    ensure!(joined.status.success(), "{}", words(&joined));
    ensure!(
        words(&joined).contains("joined by alpha"),
        "{}",
        words(&joined)
    );
    gamma.start()?;
    whole(&[&alpha, &beta, &gamma]).await?;
    let told = gamma.get("/v1/authority").await?.json();
    ensure!(told["is_authority"] == false, "{told}");
    ensure!(told["authorities"][0]["name"] == "alpha", "{told}");
    ensure!(
        told["certificates"].as_array().map(Vec::len) == Some(3),
        "{told}"
    );
    let unanswered = told["certificates"].as_array().into_iter().flatten();
    ensure!(
        unanswered.clone().all(|one| one["expires_at"].is_string()),
        "{told}"
    );
    // Without the authority nobody can be let in; the token is not used by that.
    alpha.stop()?;
    let delta = hosts.bare("delta")?;
    eventually("beta knows that alpha is gone", async || {
        let partition = beta.get("/v1/partition").await?.json();
        ensure!(partition["verdict"] != "whole", "{partition}");
        Ok(())
    })
    .await?;
    // First it may still take alpha for an authority that is there.
    let joined = join(&delta, &beta, &token)?;
    is_refused(&delta, &joined, 1, "beta does not let this host join: ")?;
    eventually("it is known that nobody can sign", async || {
        let joined = join(&delta, &beta, &token)?;
        let sentence = "beta is no authority, and reaches none that could sign";
        is_refused(&delta, &joined, 1, sentence)
    })
    .await?;
    alpha.start()?;
    whole(&[&alpha, &beta, &gamma]).await?;
    eventually("delta joins by beta", async || {
        let joined = join(&delta, &beta, &token)?;
        ensure!(joined.status.success(), "{}", words(&joined));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_authority_knows_its_own_tokens_and_passes_others_on() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let alpha = hosts.first("alpha")?;
    let beta = hosts.further("beta", &alpha)?;
    whole(&[&alpha, &beta]).await?;
    // Where the cluster's key is; a running node needs no more than the files.
    let ca = alpha.dir.join("ca");
    run(Command::new(program("muster"))
        .args(["pki", "authority", "beta", "--dir"])
        .arg(&ca)
        .arg("--out")
        .arg(beta.data.join("authority")))?;
    let told = alpha.get("/v1/authority").await?.json();
    let signing: Vec<&Value> = told["authorities"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    ensure!(signing.len() == 2 && signing[1]["name"] == "beta", "{told}");
    let token = invite(&beta, &[])?;
    let gamma = hosts.bare("gamma")?;
    let joined = join(&gamma, &alpha, &token)?;
    ensure!(
        words(&joined).contains("joined by beta, as gamma"),
        "{}",
        words(&joined)
    );
    let issued = |dir: PathBuf| {
        run(Command::new(program("muster"))
            .args(["pki", "list", "--dir"])
            .arg(dir))
    };
    ensure!(issued(beta.data.join("authority"))?.starts_with("gamma\t20"));
    ensure!(issued(alpha.data.join("authority"))?.starts_with("beta\t20"));
    ensure!(issued(ca)?.starts_with("alpha\t20"));
    // A token that nobody knows.
    let stranger = hosts.first("stranger")?;
    let foreign = invite(&stranger, &[])?;
    let delta = hosts.bare("delta")?;
    let joined = join(&delta, &alpha, &foreign)?;
    is_refused(&delta, &joined, 1, "is of another cluster than the token")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_joins_with_one_token_at_once_one_succeeds() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let alpha = hosts.first("alpha")?;
    let token = invite(&alpha, &[])?;
    let nodes = [hosts.bare("beta")?, hosts.bare("gamma")?];
    let mut asking = Vec::new();
    for node in &nodes {
        let mut command = joining(node, &alpha, &token);
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        asking.push((node, child));
    }
    let mut joined = 0;
    for (node, child) in asking {
        let output = child.wait_with_output()?;
        if output.status.success() {
            joined += 1;
        } else {
            is_refused(node, &output, 1, "the token was used already, by ")?;
        }
    }
    ensure!(joined == 1);
    let invitations = alpha.get("/v1/invitations").await?.json();
    let used = items(&invitations)[0]["used"].as_array().map(Vec::len);
    ensure!(used == Some(1), "{invitations}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_dies_half_way_has_used_the_token_once_or_not_at_all()
-> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let mut alpha = hosts.first("alpha")?;
    for round in 0..4_u64 {
        let token = invite(&alpha, &[])?;
        let node = hosts.bare(&format!("beta{round}"))?;
        let mut command = joining(&node, &alpha, &token);
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // Somewhere between its start and its answer.
        std::thread::sleep(std::time::Duration::from_millis(20 + 20 * round));
        alpha.kill()?;
        alpha.start()?;
        let output = child.wait_with_output()?;
        let invitations = alpha.get("/v1/invitations").await?.json();
        let open = items(&invitations)
            .iter()
            .filter(|one| one["state"] == "open");
        if output.status.success() {
            ensure!(open.count() == 0, "{invitations}");
        } else {
            // It was not reached at all, so the token is as good as before.
            is_refused(&node, &output, 1, "127.0.0.1:")?;
            ensure!(open.count() == 1, "{invitations}");
            let joined = join(&node, &alpha, &token)?;
            ensure!(joined.status.success(), "{}", words(&joined));
        }
    }
    Ok(())
}
