//! Judging a host that wants to join.

use super::invitation::Digits;
use super::{Authority, Invitation, State, Use};
use crate::host::{random, wall_ms};
use api::time::Millis;
use names::{NodeId, NodeName, Role};
use node::admission::{Application, Grant, Refusal, RefusalKind, Sealed};
use pki::certificate::NodeFacts;
use pki::{Bearer, Certified, Claim, Identity, InvitationId, Proofs, Signer, Withdrawn};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long the certificate of a node that has joined is valid. It is renewed by itself.
pub(crate) const LIFE: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// A name that was given away belongs to its host for so long before it is seen as a member.
const ARRIVAL: Duration = Duration::from_secs(60 * 60);

/// What a host asks for, and in which session.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) application: Application,
    /// Of a node that is to have another name, the chain of its certificate.
    pub(crate) chain: Option<Vec<u8>>,
    pub(crate) exporter: [u8; 32],
    /// From where it asks.
    pub(crate) address: String,
}

/// What an authority must know of its node and its cluster.
#[derive(Clone, Debug)]
pub(crate) struct Around {
    pub(crate) identity: Identity,
    /// The names of all that are or were members and were not forgotten.
    pub(crate) taken: BTreeMap<String, NodeId>,
    /// The ids of the nodes that are shut out: their names are free.
    pub(crate) revoked: BTreeSet<String>,
    /// The authorities whose certificates prove nothing any more.
    pub(crate) withdrawn: Withdrawn,
    /// Where nodes of the cluster are.
    pub(crate) seeds: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    pub(crate) sealed: Sealed,
    /// The use of the invitation, unless it is one that was asked for again.
    pub(crate) fresh: Option<(InvitationId, Use)>,
    /// What it was called before, of a node that got another name.
    pub(crate) earlier_name: Option<String>,
}

fn refuse<T>(kind: RefusalKind, words: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(kind, words))
}

impl Authority {
    /// Judges a host, signs for it and writes the use of its invitation down; only then anybody hears
    /// of it. The same host with the same name gets the same answer again. Reads and writes files.
    ///
    /// # Errors
    /// Why it may not join, in words for whoever joins it.
    pub(crate) fn admit(&self, asked: &Asked, around: &Around) -> Result<Admitted, Refusal> {
        let id = InvitationId(asked.application.invitation);
        let mut book = self.shared.book.lock();
        let Some(invitation) = book.get(&id) else {
            let words = "no invitation of this cluster has such a token: it was made elsewhere, or ended long ago";
            return refuse(RefusalKind::Unknown, words);
        };
        check_proof(asked, around, id, invitation)?;
        let signer = match self.signer() {
            Ok(Some(signer)) => signer,
            Ok(None) => {
                let words = cannot_sign(around, &"its key is gone, or withdrawn");
                return refuse(RefusalKind::Authority, words);
            }
            Err(error) => return refuse(RefusalKind::Authority, cannot_sign(around, &error)),
        };
        let known = invitation.used.iter().find(|used| {
            used.public_key.0 == asked.application.public_key
                && is_same_name(used, asked, invitation)
        });
        if let Some(known) = known.filter(|_| invitation.revoked_ms.is_none()) {
            let sealed = seal(known, asked, around, invitation)?;
            return Ok(Admitted {
                sealed,
                fresh: None,
                earlier_name: None,
            });
        }
        check_state(invitation)?;
        let holder = holder(asked, around)?;
        let name = choose_name(asked, around, invitation, (&book, holder.as_ref()))?;
        let bearer = match &holder {
            Some(holder) => (holder.id, holder.role),
            None => (draw_id(around)?, invitation.role),
        };
        let certified = certify((&name, bearer), asked, around, &signer)?;
        let used = Use {
            at_ms: wall_ms(),
            name: certified.name.clone(),
            node: NodeId(certified.id).to_string(),
            address: asked.address.clone(),
            public_key: Digits(asked.application.public_key),
            certificate: certified.pem.clone(),
        };
        let sealed = seal(&used, asked, around, invitation)?;
        let mut changed = invitation.clone();
        changed.used.push(used.clone());
        // The use first: whatever ends the daemon here, the same host gets the same answer, and no name
        // is taken by nobody.
        if let Err(error) = self.write(id, &changed) {
            return refuse(RefusalKind::Authority, cannot_sign(around, &error));
        }
        book.insert(id, changed);
        if let Err(error) = signer.record(&certified) {
            tracing::warn!(%error, "whom this authority signed for cannot be recorded");
        }
        Ok(Admitted {
            sealed,
            fresh: Some((id, used)),
            earlier_name: holder.map(|holder| holder.name),
        })
    }
}

/// Who a node is that is to have another name: it asks for the key of the certificate that it shows.
fn holder(asked: &Asked, around: &Around) -> Result<Option<NodeFacts>, Refusal> {
    let Some(chain) = &asked.chain else {
        return Ok(None);
    };
    let holder = Proofs::new(around.identity.clone()).holder(chain);
    let is_withdrawn = around.withdrawn.refuses_chain(chain);
    let Some(holder) = holder.filter(|_| !is_withdrawn) else {
        let words = "the certificate of this host is of another cluster, or of an authority that is not \
                     trusted any more";
        return refuse(RefusalKind::Malformed, words);
    };
    if holder.public_key != Some(asked.application.public_key) {
        let words = "the certificate of this host is of another key than the one that it asks for";
        return refuse(RefusalKind::Malformed, words);
    }
    if around.revoked.contains(&NodeId(holder.id).to_string()) {
        let words = format!(
            "the node {} was revoked, which is for ever: empty its data directory and let the host join \
             as a new node",
            holder.name
        );
        return refuse(RefusalKind::Invitation, words);
    }
    Ok(Some(holder))
}

/// In which words a joining host hears of a fault at the authority.
fn cannot_sign(around: &Around, error: &dyn std::fmt::Display) -> String {
    format!("{} cannot sign now: {error}", around.identity.name())
}

fn check_proof(
    asked: &Asked,
    around: &Around,
    invitation: InvitationId,
    kept: &Invitation,
) -> Result<(), Refusal> {
    let application = &asked.application;
    let claim = Claim {
        exporter: &asked.exporter,
        cluster: &around.identity.cluster(),
        invitation,
        public_key: &application.public_key,
        name: &application.name,
        is_chosen: application.is_chosen,
        chain: asked.chain.as_deref(),
    };
    if kept.key().is_proof(&claim, &application.proof) {
        Ok(())
    } else {
        refuse(
            RefusalKind::Invitation,
            "the token is not the one of this invitation, or something on the way changed the request",
        )
    }
}

fn check_state(invitation: &Invitation) -> Result<(), Refusal> {
    let words = match invitation.state(wall_ms()) {
        State::Open => return Ok(()),
        State::Revoked => "the token was revoked".to_owned(),
        State::Expired => format!("the token expired at {}", Millis(invitation.expires_ms)),
        State::Used => {
            let hosts: Vec<String> = invitation
                .used
                .iter()
                .map(|used| format!("{} from {}", used.name, used.address))
                .collect();
            format!("the token was used already, by {}", hosts.join(", "))
        }
    };
    refuse(RefusalKind::Invitation, words)
}

/// Which name the host asks for: its own one is only a proposal where it was invited under another.
fn wanted_name<'a>(asked: &'a Asked, invitation: &'a Invitation) -> &'a str {
    match &invitation.name {
        Some(name) if !asked.application.is_chosen => name,
        Some(_) | None => &asked.application.name,
    }
}

fn is_same_name(used: &Use, asked: &Asked, invitation: &Invitation) -> bool {
    used.name == wanted_name(asked, invitation)
}

fn choose_name(
    asked: &Asked,
    around: &Around,
    invitation: &Invitation,
    (book, holder): (&BTreeMap<InvitationId, Invitation>, Option<&NodeFacts>),
) -> Result<NodeName, Refusal> {
    let wanted = wanted_name(asked, invitation);
    let name = NodeName::new(wanted);
    let name = name.map_err(|error| Refusal::new(RefusalKind::Malformed, error.to_string()))?;
    if let Some(invited) = invitation.name.as_ref().filter(|name| *name != wanted) {
        let words = format!("the token is for the name {invited}, and not for {wanted}");
        return refuse(RefusalKind::Name, words);
    }
    let own = holder.map(|holder| NodeId(holder.id));
    if let Some(other) = around.taken.get(wanted).filter(|id| Some(**id) != own) {
        let words = format!(
            "the name {wanted} is taken by the member {other}: choose another one (--name), or forget \
             that member first if it is gone (muster forget {wanted})"
        );
        return refuse(RefusalKind::Name, words);
    }
    let since_ms = wall_ms() - i64::try_from(ARRIVAL.as_millis()).unwrap_or(i64::MAX);
    let uses = || book.values().flat_map(|one| &one.used);
    let has_later =
        |used: &Use| uses().any(|other| other.node == used.node && other.at_ms > used.at_ms);
    let own = own.map(|own| own.to_string());
    let is_arriving = |used: &Use| {
        used.at_ms > since_ms
            && !around.revoked.contains(&used.node)
            && Some(&used.node) != own.as_ref()
            && used.public_key.0 != asked.application.public_key
    };
    if uses().any(|used| used.name == wanted && is_arriving(used) && !has_later(used)) {
        let words = format!(
            "the name {wanted} was given to another host within the last hour: choose another one \
             (--name), or wait"
        );
        return refuse(RefusalKind::Name, words);
    }
    Ok(name)
}

fn draw_id(around: &Around) -> Result<[u8; 16], Refusal> {
    random().map_err(|error| Refusal::new(RefusalKind::Authority, cannot_sign(around, &error)))
}

fn certify(
    (name, (id, role)): (&NodeName, ([u8; 16], Role)),
    asked: &Asked,
    around: &Around,
    signer: &Signer,
) -> Result<Certified, Refusal> {
    let failed = |error: &dyn std::fmt::Display| {
        Refusal::new(RefusalKind::Authority, cannot_sign(around, error))
    };
    let name = name.as_str();
    let bearer = Bearer { id, name, role };
    let (key, identity) = (&asked.application.public_key, &around.identity);
    signer
        .certify(bearer, key, LIFE, identity)
        .map_err(|error| failed(&error))
}

fn seal(
    used: &Use,
    asked: &Asked,
    around: &Around,
    invitation: &Invitation,
) -> Result<Sealed, Refusal> {
    let grant = Grant {
        name: used.name.clone(),
        certificate: used.certificate.clone(),
        authorities: around.identity.authorities_pem(),
        by: around.identity.name().to_owned(),
        seeds: around.seeds.clone(),
        tags: invitation.tags.clone(),
    };
    let grant = grant
        .bytes()
        .map_err(|error| Refusal::new(RefusalKind::Authority, cannot_sign(around, &error)))?;
    let seal = invitation.key().seal(&asked.application.proof, &grant);
    Ok(Sealed { grant, seal })
}
