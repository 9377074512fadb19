//! A member that passes on what a new host asks and is granted, and changes it on the way.

use super::{Hosts, invite, is_refused, joining, words};
use crate::fleet::{Node, PATIENCE, items};
use anyhow::{Context, anyhow, bail, ensure};
use names::{NodeId, Role};
use node::admission::{ALPN, Answer, Application, EXPORTER, Grant, Relayed, Request, Sealed};
use pki::{Bearer, Identity, NODE_LIFE, SIGNER_LIFE, Signer};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Output, Stdio};
use tokio::sync::mpsc;
use transport::{Applicant, Endpoint, Events, Settings};

/// What it changes of a request.
type Ask = fn(&mut Relayed);
/// What it changes of what is granted; it may use what it has.
type Give = fn(&Means, &Application, &mut Sealed) -> anyhow::Result<()>;

fn change(sealed: &mut Sealed, change: impl FnOnce(&mut Grant)) -> anyhow::Result<()> {
    let mut grant = Grant::read(&sealed.grant)?;
    change(&mut grant);
    sealed.grant = grant.bytes()?;
    Ok(())
}

/// With what it lies.
struct Means {
    /// Its own certificate in the cluster.
    own: String,
    /// A cluster that it has made itself.
    signer: Signer,
    identity: Identity,
    /// What it was answered for another host.
    earlier: Option<Sealed>,
}

fn load(dir: &Path) -> anyhow::Result<Identity> {
    let file = |name| dir.join(name);
    let identity = Identity::load(&file("ca.pem"), &file("node.pem"), &file("node.key"));
    Ok(identity?)
}

impl Means {
    fn new(dir: &Path, own: String) -> anyhow::Result<Self> {
        let (ca, tls, authority) = (dir.join("ca"), dir.join("other"), dir.join("authority"));
        pki::init(&ca)?;
        pki::issue(&ca, ("mallory", Role::Member), &tls, NODE_LIFE)?;
        pki::delegate(&ca, "mallory", &authority, SIGNER_LIFE)?;
        Ok(Self {
            own,
            signer: Signer::load(&authority)?.context("it has a key")?,
            identity: load(&tls)?,
            earlier: None,
        })
    }

    /// A certificate for what is asked for, of the other cluster.
    fn certify(&self, application: &Application) -> anyhow::Result<String> {
        let bearer = Bearer {
            id: [0x7f; 16],
            name: &application.name,
            role: Role::Member,
        };
        let (key, identity) = (&application.public_key, &self.identity);
        let certified = self.signer.certify(bearer, key, NODE_LIFE, identity)?;
        Ok(certified.pem)
    }
}

struct Liar {
    endpoint: Endpoint,
    heard: mpsc::Receiver<Applicant>,
    means: Means,
    /// The authority, to which it passes on.
    authority: (SocketAddr, NodeId),
    _events: (Events, Events),
}

impl Liar {
    async fn of(hosts: &Hosts, authority: &Node) -> anyhow::Result<Self> {
        let dir = hosts.dir.path().join("mallory");
        let ca = authority.dir.join("ca");
        pki::issue(&ca, ("mallory", Role::Member), &dir, NODE_LIFE)?;
        let settings = Settings {
            join_alpn: ALPN.to_vec(),
            join_exporter: EXPORTER.to_vec(),
            ..Settings::new(SocketAddr::from(([127, 0, 0, 1], 0)), ["muster/2"])
        };
        let (endpoint, urgent, bulk) = Endpoint::bind(settings, load(&dir)?)?;
        let (sender, heard) = mpsc::channel(1);
        endpoint.admit_by(sender);
        let info = authority.get("/v1/node").await?.json();
        let id = info["id"].as_str().and_then(|id| id.parse().ok());
        Ok(Self {
            endpoint,
            heard,
            means: Means::new(&dir, std::fs::read_to_string(dir.join("node.pem"))?)?,
            authority: (authority.address, id.context("it has an id")?),
            _events: (urgent, bulk),
        })
    }

    /// Passes one request on, and the answer back.
    async fn relay(&mut self, ask: Ask, give: Give) -> anyhow::Result<()> {
        let applicant = self.heard.recv().await.context("a host asks")?;
        let Request::Join(application) = Request::read(&applicant.bytes)? else {
            bail!("a new host asks to join")
        };
        let mut relayed = Relayed {
            application: application.clone(),
            exporter: applicant.exporter,
            address: applicant.remote.to_string(),
        };
        ask(&mut relayed);
        let (address, id) = self.authority;
        let asked = self.endpoint.apply(address, id.0).await;
        let asked = asked.map_err(|error| anyhow!(error.reason))?;
        let answer = asked.ask(&Request::Relay(relayed).bytes()?, PATIENCE).await;
        let (answer, _) = answer.map_err(|error| anyhow!(error.reason))?;
        let mut answer = Answer::read(&answer)?;
        if let Answer::Granted(sealed) = &mut answer {
            let honest = sealed.clone();
            give(&self.means, &application, sealed)?;
            self.means.earlier = Some(honest);
        }
        let answered = applicant.reply.send(answer.bytes().into());
        answered.map_err(|_| anyhow!("the host has gone"))
    }

    /// Lets a host join by it, and lies.
    async fn joined(&mut self, node: &Node, token: &str, lie: Lie) -> anyhow::Result<Output> {
        let mut through = Node::bare(&node.dir, "mallory")?;
        through.address = self.endpoint.local_addr();
        let mut command = joining(node, &through, token);
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        match lie {
            Lie::Asked(ask) => self.relay(ask, |_, _, _| Ok(())).await?,
            Lie::Given(give) => self.relay(|_| (), give).await?,
        }
        Ok(child.wait_with_output()?)
    }
}

#[derive(Clone, Copy)]
enum Lie {
    Asked(Ask),
    Given(Give),
}

/// How many hosts have used the invitations of a node.
async fn uses(node: &Node) -> anyhow::Result<usize> {
    let told = node.get("/v1/invitations").await?.json();
    let used = items(&told).iter().filter_map(|one| one["used"].as_array());
    Ok(used.map(Vec::len).sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_changes_what_a_host_asks_for_gets_it_nothing() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let alpha = hosts.first("alpha")?;
    let mut liar = Liar::of(&hosts, &alpha).await?;
    let token = invite(&alpha, &[])?;
    let beta = hosts.bare("beta")?;
    let lies: [Ask; 4] = [
        |asked| asked.application.public_key[0] ^= 1,
        |asked| asked.application.name = "delta".to_owned(),
        |asked| asked.application.is_chosen = false,
        |asked| asked.exporter[0] ^= 1,
    ];
    for lie in lies {
        let joined = liar.joined(&beta, &token, Lie::Asked(lie)).await?;
        let sentence = "mallory does not let this host join: the token is not the one of this \
                        invitation, or something on the way changed the request";
        is_refused(&beta, &joined, 1, sentence)?;
    }
    ensure!(uses(&alpha).await? == 0, "the token is as good as before");
    let joined = liar.joined(&beta, &token, Lie::Asked(|_| ())).await?;
    ensure!(joined.status.success(), "{}", words(&joined));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_changes_what_a_host_is_given_is_found_out() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let alpha = hosts.first("alpha")?;
    let mut liar = Liar::of(&hosts, &alpha).await?;
    let token = invite(&alpha, &["--uses", "9"])?;
    let lies: [Give; 5] = [
        |_, _, sealed| change(sealed, |grant| grant.name = "delta".to_owned()),
        |_, _, sealed| {
            change(sealed, |grant| {
                grant.seeds = vec!["192.0.2.1:6878".to_owned()]
            })
        },
        |means, _, sealed| change(sealed, |grant| grant.certificate.clone_from(&means.own)),
        // All of it fits together, and is of a cluster of the liar's.
        |means, application, sealed| {
            let certificate = means.certify(application)?;
            change(sealed, |grant| {
                grant.certificate = certificate;
                grant.authorities = means.identity.authorities_pem();
            })
        },
        |means, _, sealed| {
            *sealed = means.earlier.clone().context("it was answered before")?;
            Ok(())
        },
    ];
    for (n, lie) in lies.into_iter().enumerate() {
        let beta = hosts.bare(&format!("beta{n}"))?;
        let joined = liar.joined(&beta, &token, Lie::Given(lie)).await?;
        let sentence = "mallory answers with something that no authority made for this token: do not \
                        trust that node";
        is_refused(&beta, &joined, 1, sentence)?;
    }
    let beta = hosts.bare("beta")?;
    let honest = Lie::Given(|_, _, _| Ok(()));
    let joined = liar.joined(&beta, &token, honest).await?;
    ensure!(joined.status.success(), "{}", words(&joined));
    Ok(())
}
