//! The key of an authority was stolen: it is withdrawn by that of the cluster.

use super::revoking::{has_members, is_shut_out};
use super::{Hosts, invite, join, whole, words};
use crate::fleet::{Node, eventually, items, program, run};
use anyhow::{Context, ensure};
use bytes::Bytes;
use crdt::roster::{Revocation, Told};
use data_encoding::BASE64;
use names::{NodeId, Role};
use node::proof::Domain;
use pki::{Bearer, Identity, NODE_LIFE, NodeKey, Signer};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Somebody who has a copy of an authority's directory, and a node with a certificate made with it.
struct Thief {
    node: Node,
    stolen: PathBuf,
    identity: Identity,
}

impl Thief {
    fn of(alpha: &Node, hosts: &Hosts) -> anyhow::Result<Self> {
        let stolen = hosts.dir.path().join("stolen");
        let copied = Command::new("cp")
            .arg("-a")
            .args([&alpha.data.join("authority"), &stolen])
            .status()?;
        ensure!(copied.success());
        let tls = ["ca.pem", "node.pem", "node.key"].map(|file| alpha.data.join("tls").join(file));
        let known = Identity::load(&tls[0], &tls[1], &tls[2])?;
        let key = NodeKey::generate()?;
        let bearer = Bearer {
            id: [0x7f; 16],
            name: "thief",
            role: Role::Member,
        };
        let signer = Signer::load(&stolen)?.context("the authority has a key")?;
        let certified = signer.certify(bearer, key.public(), NODE_LIFE, &known)?;
        signer.record(&certified)?;
        let mut node = Node::bare(hosts.dir.path(), "thief")?;
        std::fs::create_dir_all(&node.dir)?;
        let tls = node.dir.join("tls");
        let identity = pki::install(&tls, &key, &certified.pem, &known.authorities_pem())?;
        node.configure(&[alpha.address])?;
        node.start()?;
        Ok(Self {
            node,
            stolen,
            identity,
        })
    }

    /// A file with the revocation of a node, signed with the stolen key.
    fn revocation(&self, subject: NodeId) -> anyhow::Result<PathBuf> {
        let signer = Signer::load(&self.stolen)?.context("it has a key")?;
        let sign = |said: &[u8]| {
            let message = Domain::Revocation.message(self.identity.cluster(), said);
            Bytes::from(signer.sign(&message).unwrap_or_default())
        };
        let me = NodeId(self.identity.id());
        let told = Told::default();
        let revocation = Revocation::write((me, &signer.chain()), subject, &told, sign)?;
        let file = self.node.dir.join("revocation");
        std::fs::write(&file, BASE64.encode(revocation.relayed().bytes()))?;
        Ok(file)
    }

    /// A directory of its key that looks as that of the cluster's own authority.
    fn as_own(&self) -> anyhow::Result<PathBuf> {
        let dir = self.node.dir.join("ca");
        std::fs::create_dir(&dir)?;
        for (from, to) in [("authority.pem", "ca.pem"), ("authority.key", "ca.key")] {
            std::fs::copy(self.stolen.join(from), dir.join(to))?;
        }
        Ok(dir)
    }
}

fn id_of(member: &str, members: &serde_json::Value) -> anyhow::Result<NodeId> {
    let found = items(members).iter().find(|one| one["name"] == member);
    let id = found.and_then(|one| one["id"].as_str());
    id.and_then(|id| id.parse().ok()).context("it is a member")
}

fn sign(draft: &Path, dir: &Path, out: &Path) -> anyhow::Result<Output> {
    let mut command = Command::new(program("muster"));
    command.args(["pki", "sign"]).arg(draft);
    command.arg("--dir").arg(dir).arg("--out").arg(out);
    Ok(command.output()?)
}

fn publish(node: &Node, file: &Path) -> anyhow::Result<Output> {
    let file = file.to_str().context("a path in UTF-8")?;
    node.muster(&["authority", "publish", file])
}

fn is_refused_with(output: &Output, sentence: &str) -> anyhow::Result<()> {
    let said = words(output);
    ensure!(
        !output.status.success() && said.contains(sentence),
        "{said}"
    );
    Ok(())
}

/// Drafts the withdrawal of alpha's authority, and has it refused without the right signature.
fn draft(hosts: &Hosts, alpha: &Node, thief: &Thief) -> anyhow::Result<PathBuf> {
    let draft = hosts.dir.path().join("draft");
    let file = draft.to_str().context("a path in UTF-8")?;
    let withdraw = |name: &str, without: &str| {
        alpha.muster(&[
            "authority",
            "withdraw",
            name,
            "--reason",
            "stolen",
            "--without",
            without,
            "--out",
            file,
        ])
    };
    is_refused_with(&withdraw("nobody", "thief")?, "no authority of the name")?;
    is_refused_with(&withdraw("alpha", "nobody")?, "no node \"nobody\"")?;
    ensure!(!draft.exists());
    let drafted = withdraw("alpha", "thief")?;
    let said = words(&drafted);
    ensure!(drafted.status.success(), "{said}");
    ensure!(
        said.contains("these members stay good: beta;"),
        "alpha's own certificate is of the cluster's authority: {said}"
    );
    let refusal = "signed with the key of the cluster's own authority";
    is_refused_with(&publish(alpha, &draft)?, refusal)?;
    let forged = hosts.dir.path().join("forged");
    let signed = sign(&draft, &thief.as_own()?, &forged)?;
    ensure!(signed.status.success(), "{}", words(&signed));
    is_refused_with(&publish(alpha, &forged)?, refusal)?;
    Ok(draft)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_authority_is_withdrawn_and_its_members_go_on() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let mut alpha = hosts.first("alpha")?;
    let mut beta = hosts.further("beta", &alpha)?;
    let mut thief = Thief::of(&alpha, &hosts)?;
    whole(&[&alpha, &beta, &thief.node]).await?;
    let draft = draft(&hosts, &alpha, &thief)?;
    let (ca, signed) = (alpha.dir.join("ca"), hosts.dir.path().join("signed"));
    let shown = sign(&draft, &ca, &signed)?;
    ensure!(shown.status.success(), "{}", words(&shown));
    ensure!(
        words(&shown).contains("the authority alpha"),
        "{}",
        words(&shown)
    );
    its_own_certificate_stays(&hosts, &beta, &ca)?;
    let published = publish(&beta, &signed)?;
    ensure!(published.status.success(), "{}", words(&published));
    for node in [&alpha, &beta] {
        has_members(node, &["alpha", "beta"]).await?;
    }
    is_shut_out(&thief.node).await?;
    whole(&[&alpha, &beta]).await?;
    for node in [&mut alpha, &mut beta, &mut thief.node] {
        node.kill()?;
        node.start()?;
    }
    whole(&[&alpha, &beta]).await?;
    is_shut_out(&thief.node).await?;
    for node in [&alpha, &beta] {
        has_members(node, &["alpha", "beta"]).await?;
    }
    nothing_more_counts(&alpha, &beta, &thief).await?;
    another_authority(&hosts, &alpha, &beta).await
}

/// Nobody shuts the node out that it talks to.
fn its_own_certificate_stays(hosts: &Hosts, beta: &Node, ca: &Path) -> anyhow::Result<()> {
    let (draft, signed) = ["other-draft", "other"]
        .map(|name| hosts.dir.path().join(name))
        .into();
    let file = draft.to_str().context("a path in UTF-8")?;
    let args = [
        "authority",
        "withdraw",
        "alpha",
        "--without",
        "beta",
        "--out",
        file,
    ];
    let drafted = beta.muster(&args)?;
    ensure!(drafted.status.success(), "{}", words(&drafted));
    ensure!(sign(&draft, ca, &signed)?.status.success());
    is_refused_with(&publish(beta, &signed)?, "this node's own certificate")
}

/// What the thief signs afterwards is refused, and what was withdrawn is shown.
async fn nothing_more_counts(alpha: &Node, beta: &Node, thief: &Thief) -> anyhow::Result<()> {
    let members = alpha.get("/v1/members").await?.json();
    let revocation = thief.revocation(id_of("beta", &members)?)?;
    is_refused_with(&publish(alpha, &revocation)?, "is withdrawn")?;
    let known = alpha.get("/v1/revocations").await?.json();
    let [known] = items(&known) else {
        anyhow::bail!("{known}")
    };
    ensure!(
        known["kind"] == "authority" && known["name"] == "alpha",
        "{known}"
    );
    ensure!(
        known["stay_good"] == 1 && known["reason"] == "stolen",
        "{known}"
    );
    let shown = words(&beta.muster(&["revocations"])?);
    ensure!(shown.trim().ends_with("\tstolen\tauthority"), "{shown}");
    // Whom the key has given certificates, and who of them is shut out.
    let stolen = thief.stolen.to_str().context("a path in UTF-8")?;
    let issued = words(&alpha.muster(&["--json", "pki", "list", "--dir", stolen])?);
    let issued: serde_json::Value = serde_json::from_str(&issued)?;
    let revoked = items(&issued).iter();
    let revoked: Vec<_> = revoked
        .map(|one| (one["name"].as_str(), one["revoked"].as_bool()))
        .collect();
    let expected = [(Some("beta"), Some(false)), (Some("thief"), Some(true))];
    ensure!(revoked == expected, "{issued}");
    is_refused_with(&alpha.muster(&["invite"])?, "is no authority")
}

/// A new key signs for hosts that join, and renews the certificate that the old one has signed.
async fn another_authority(hosts: &Hosts, alpha: &Node, beta: &Node) -> anyhow::Result<()> {
    run(Command::new(program("muster"))
        .args(["pki", "authority", "beta", "--dir"])
        .arg(alpha.dir.join("ca"))
        .arg("--out")
        .arg(beta.data.join("authority")))?;
    let renewed = beta.muster(&["authority", "renew"])?;
    ensure!(renewed.status.success(), "{}", words(&renewed));
    let mut gamma = hosts.bare("gamma")?;
    let joined = join(&gamma, alpha, &invite(beta, &[])?)?;
    ensure!(joined.status.success(), "{}", words(&joined));
    gamma.start()?;
    whole(&[alpha, beta, &gamma]).await?;
    eventually("beta is there with its new certificate", async || {
        has_members(&gamma, &["alpha", "beta", "gamma"]).await
    })
    .await
}
