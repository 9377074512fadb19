//! `/v1/authority/withdrawal`: what the cluster's own authority is to sign so that one below it, whose key
//! was stolen, is trusted no more.

use crate::authority::AuthorityError;
use crate::http::Api;
use crate::http::authority::{on_disk, seconds};
use crate::http::cluster::ask;
use crate::http::connections::who::{Admin, Caller};
use crate::http::json::{self, Json};
use crate::http::operations::openapi::Problems;
use crate::http::problem::{Kind, Own, Problem, refuses};
use crate::http::query::Query;
use crate::http::revocations::reason;
use crate::http::time::Timeout;
use api::authority::{NewWithdrawal, WithdrawalDraft, WithdrawalKept, WithdrawnAuthority};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use crdt::roster::{Mark, Revocation, Told};
use data_encoding::BASE64;
use names::NodeId;
use node::cluster::Chain;
use node::cluster::ask::Chains;
use pki::Intermediate;
use std::collections::{BTreeMap, BTreeSet};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The calls of this folder.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(withdraw))
}

/// Drafts the withdrawal of an authority below the cluster's own: what is to be signed with the key of the
/// cluster's own (`muster pki sign`), and then published. It names what stays good: the certificates of the
/// members that are known here and not revoked, and the revocations that it has signed. Nothing is changed.
#[utoipa::path(
    post, path = "/v1/authority/withdrawal", tag = "node and cluster", operation_id = "draft_withdrawal",
    params(Query<(Timeout,)>), request_body = NewWithdrawal,
    responses(
        (status = 200, description = "The draft, and what it says", body = WithdrawalDraft),
        Problems<(Admin, Query<(Timeout,)>, Json<NewWithdrawal>, Chains, AuthorityError, DraftError, Own<{ Kind::Invalid as usize }>)>,
    )
)]
pub(crate) async fn withdraw(
    State(api): State<Api>,
    caller: Caller,
    _: Admin,
    Query((Timeout(timeout),)): Query<(Timeout,)>,
    Json(body): Json<NewWithdrawal>,
) -> Result<Response, Problem> {
    let reason = reason(body.reason.unwrap_or_default())?;
    let service = api.service();
    let book = service.authority().clone();
    let own = on_disk(move || book.chain()).await?;
    let known = Known {
        members: ask(&api, Chains, timeout).await?,
        revocations: service.revocations().to_vec(),
        own: own.map_err(AuthorityError::Files)?,
    };
    let authority = known.find(&body.authority)?;
    let kept = known.kept(authority.key, &body.without.unwrap_or_default())?;
    let told = Told {
        name: authority.name.clone(),
        reason,
        at_ms: crate::host::wall_ms(),
        by: caller.author(&service.info().name).0,
    };
    let draft = Revocation::draft((service.info().id, b""), authority.key, &told, &kept.marks);
    let draft = draft.map_err(AuthorityError::Form)?;
    json::respond(StatusCode::OK, &answer(&draft, authority, kept))
}

fn answer(draft: &Revocation, authority: Intermediate, kept: Kept) -> WithdrawalDraft {
    let names = |kept: &[WithdrawalKept]| {
        let names: Vec<&str> = kept.iter().map(|one| one.name.as_str()).collect();
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    };
    let text = format!(
        "the authority {} with the key {} is withdrawn; of what it has signed, the certificates of these members \
         stay good: {}; and the revocations of these nodes: {}",
        authority.name,
        NodeId(authority.key),
        names(&kept.members),
        names(&kept.revocations)
    );
    WithdrawalDraft {
        statement: BASE64.encode(draft.relayed().bytes()),
        text,
        authority: WithdrawnAuthority {
            key: NodeId(authority.key).to_string(),
            name: authority.name,
            expires_at: seconds(authority.not_after),
        },
        members: kept.members,
        revocations: kept.revocations,
    }
}

/// What is known here of authorities and of what they have signed.
struct Known {
    members: Vec<Chain>,
    revocations: Vec<Revocation>,
    /// The chain of this node's own authority.
    own: Option<Vec<u8>>,
}

/// Why no withdrawal can be drafted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum DraftError {
    #[error(
        "no authority of the name or key {0:?} has signed a certificate or revocation that this node knows; \
         the cluster's own is replaced by \"muster pki rotate\""
    )]
    Unknown(String),
    #[error("several authorities are called {0:?}; name one by its key: {1}")]
    Several(String, String),
    #[error("\"without\": no node {0:?} is a member or revoked")]
    Nobody(String),
}

refuses! { DraftError: NoSuchAuthority SeveralAuthorities Member; }

impl From<DraftError> for Problem {
    fn from(error: DraftError) -> Self {
        let kind = match &error {
            DraftError::Unknown(_) => Kind::NoSuchAuthority,
            DraftError::Several(..) => Kind::SeveralAuthorities,
            DraftError::Nobody(_) => Kind::Member,
        };
        Self::new(kind, error)
    }
}

/// What stays good.
#[derive(Default)]
struct Kept {
    members: Vec<WithdrawalKept>,
    revocations: Vec<WithdrawalKept>,
    marks: Vec<Mark>,
}

impl Known {
    /// The authority of that name or key.
    fn find(&self, text: &str) -> Result<Intermediate, DraftError> {
        let revocations = self.revocations.iter().map(Revocation::chain);
        let members = self.members.iter().map(|member| member.chain.as_ref());
        let chains = members.chain(revocations).chain(self.own.as_deref());
        let mut found: BTreeMap<Mark, Intermediate> = BTreeMap::new();
        for one in chains.flat_map(pki::intermediates) {
            if one.name != text && NodeId(one.key).to_string() != text {
                continue;
            }
            // A key may have several certificates, one after the other.
            let known = found.entry(one.key).or_insert_with(|| one.clone());
            known.not_after = known.not_after.max(one.not_after);
        }
        if found.len() > 1 {
            let keys: Vec<String> = found.keys().map(|key| NodeId(*key).to_string()).collect();
            return Err(DraftError::Several(text.to_owned(), keys.join(", ")));
        }
        let found = found.into_values().next();
        found.ok_or_else(|| DraftError::Unknown(text.to_owned()))
    }

    /// What stays good of what that key has signed, but for those nodes.
    fn kept(&self, key: Mark, without: &[String]) -> Result<Kept, DraftError> {
        let mut unknown: BTreeSet<&str> = without.iter().map(String::as_str).collect();
        let mut is_kept = |id: NodeId, name: &str| {
            let id = id.to_string();
            unknown.retain(|text| *text != id && *text != name);
            !without.iter().any(|text| *text == id || text == name)
        };
        let mut kept = Kept::default();
        let listed = |id: NodeId, name: &str| WithdrawalKept {
            id: id.to_string(),
            name: name.to_owned(),
        };
        for member in &self.members {
            let marks = pki::marks(&member.chain);
            let is_kept = is_kept(member.node, member.name.as_str());
            let marks = marks.filter(|marks| is_kept && marks.issuers.contains(&key));
            if let Some(marks) = marks {
                kept.members.push(listed(member.node, member.name.as_str()));
                kept.marks.push(marks.certificate);
            }
        }
        for one in self.revocations.iter().filter(|one| !one.is_withdrawal()) {
            let (name, is_of_key) = (one.told().name, pki::marks(one.chain()));
            let is_of_key = is_of_key.is_some_and(|marks| marks.key == key);
            if is_kept(one.subject(), &name) && is_of_key {
                kept.revocations.push(listed(one.subject(), &name));
                kept.marks.push(one.mark());
            }
        }
        match unknown.first() {
            Some(nobody) => Err(DraftError::Nobody((*nobody).to_owned())),
            None => Ok(kept),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member with a certificate that an authority of that name has signed, and what is known of it.
    fn member(ca: &std::path::Path, id: u8, (dir, name): (&str, &str)) -> Chain {
        let (key, out) = (pki::NodeKey::generate().unwrap(), ca.join(dir));
        pki::delegate(ca, name, &out, pki::SIGNER_LIFE).unwrap();
        let tls = ca.join(format!("tls{id}"));
        let files = ["ca.pem", "node.pem", "node.key"].map(|file| tls.join(file));
        let beside = format!("beside{id}");
        pki::issue(ca, (&beside, pki::Role::Member), &tls, pki::NODE_LIFE).unwrap();
        let beside = pki::Identity::load(&files[0], &files[1], &files[2]).unwrap();
        let signer = pki::Signer::load(&out).unwrap().unwrap();
        let bearer = pki::Bearer {
            id: [id; 16],
            name: "node",
            role: pki::Role::Member,
        };
        let certified = signer
            .certify(bearer, key.public(), pki::NODE_LIFE, &beside)
            .unwrap();
        let authorities = beside.authorities_pem();
        let made = pki::install(
            &ca.join(format!("of{id}")),
            &key,
            &certified.pem,
            &authorities,
        );
        Chain {
            node: NodeId([id; 16]),
            name: names::NodeName::new(&format!("node{id}")).unwrap(),
            chain: made.unwrap().chain().into(),
        }
    }

    #[test]
    fn an_authority_is_found_by_its_name_or_key_and_keeps_whom_it_signed_for() {
        let dir = tempfile::tempdir().unwrap();
        let ca = dir.path().join("ca");
        pki::init(&ca).unwrap();
        let made = [(1, ("a", "alpha")), (2, ("a", "alpha")), (3, ("b", "beta"))];
        let mut known = Known {
            members: made.map(|(id, of)| member(&ca, id, of)).to_vec(),
            revocations: Vec::new(),
            own: None,
        };
        let alpha = known.find("alpha").unwrap();
        let key = NodeId(alpha.key).to_string();
        assert_eq!(known.find(&key), Ok(alpha.clone()));
        assert!(matches!(known.find("gamma"), Err(DraftError::Unknown(_))));
        let kept = |without: &[&str]| {
            let without: Vec<String> = without.iter().map(|&one| one.to_owned()).collect();
            known.kept(alpha.key, &without).map(|kept| kept.marks)
        };
        let marks: Vec<Mark> = known.members[..2]
            .iter()
            .map(|member| pki::marks(&member.chain).unwrap().certificate)
            .collect();
        assert_eq!(kept(&[]), Ok(marks.clone()));
        let second = NodeId([2; 16]).to_string();
        assert_eq!(kept(&["node1", "node3"]), Ok(marks[1..].to_vec()));
        assert_eq!(kept(&[&second]), Ok(marks[..1].to_vec()));
        assert_eq!(
            kept(&["node9"]),
            Err(DraftError::Nobody("node9".to_owned()))
        );
        known.members.push(member(&ca, 4, ("c", "alpha")));
        let several = known.find("alpha");
        assert!(matches!(several, Err(DraftError::Several(_, keys)) if keys.contains(&key)));
    }
}
