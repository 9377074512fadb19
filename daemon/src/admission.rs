//! Answers hosts that want to join, and members that ask on behalf of such or for a new certificate;
//! asks other members the same. See [`node::admission`].

use crate::authority::{Admitted, Around, Asked, LIFE};
use crate::machines::withdrawn;
use crate::service::Service;
use api::events::{ClusterEvent, EventDetails, EventKind, EventType};
use api::time::Millis;
use node::admission::{Answer, AuthorityTerm, Refusal, RefusalKind, Relayed, Request};
use node::cluster::MemberView;
use pki::Bearer;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use transport::{Applicant, PeerName};

/// How many requests may wait: as many as the transport lets in at once.
pub(crate) const WAITING: usize = 32;
/// How long a member may take to say whether it is an authority.
const WHO_PATIENCE: Duration = Duration::from_secs(2);
/// How long an authority may take to sign.
pub(crate) const SIGN_PATIENCE: Duration = Duration::from_secs(6);
/// How many members are asked at most whether they are authorities.
const MAX_ASKED: usize = 256;
/// How long the authorities that were found are taken for all there are.
const FOUND_GOOD_FOR: Duration = Duration::from_secs(30);
/// How long nobody is looked for again where there was none.
const NONE_GOOD_FOR: Duration = Duration::from_secs(3);
/// How many addresses of members a new host is told.
const SEEDS_TOLD: usize = 3;

/// A member that can sign.
#[derive(Clone, Debug)]
pub(crate) struct Signing {
    pub(crate) member: MemberView,
    pub(crate) term: AuthorityTerm,
}

/// What is known of a member's certificate and authority.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    pub(crate) member: MemberView,
    /// When its certificate expires, in Unix seconds; `None`: it did not answer.
    pub(crate) expires_at: Option<i64>,
    /// Until when it can sign, if it can.
    pub(crate) term: Option<AuthorityTerm>,
}

/// The authorities that were found last, and until when they are taken for all there are. Whoever
/// can send a packet here makes this node ask them, but not all members each time.
type Found = Arc<tokio::sync::Mutex<Option<(Instant, Vec<Signing>)>>>;

/// Answers, until no more requests can come.
pub(crate) async fn answer(service: Service, mut applicants: mpsc::Receiver<Applicant>) {
    let found = Found::default();
    while let Some(applicant) = applicants.recv().await {
        tokio::spawn(reply(service.clone(), found.clone(), applicant));
    }
}

/// A request that is not understood, or that only members may make, gets no answer.
async fn reply(service: Service, found: Found, applicant: Applicant) {
    let remote = applicant.remote;
    let from = remote.to_string();
    let asked = |application, chain| Asked {
        application,
        chain,
        exporter: applicant.exporter,
        address: from,
    };
    let passed_on = |relayed: Relayed, chain| Asked {
        application: relayed.application,
        chain,
        exporter: relayed.exporter,
        address: relayed.address,
    };
    let answer = match (Request::read(&applicant.bytes), &applicant.peer) {
        (Ok(Request::Who), Some(_)) => Answer::Who(term(&service).await),
        (Ok(Request::Join(application)), None) => {
            join(&service, &found, asked(application, None)).await
        }
        (Ok(Request::Rename { application, chain }), None) => {
            join(&service, &found, asked(application, Some(chain))).await
        }
        (Ok(Request::Relay(relayed)), Some(_)) => admit(&service, passed_on(relayed, None)).await,
        (Ok(Request::RelayRename { relayed, chain }), Some(_)) => {
            admit(&service, passed_on(relayed, Some(chain))).await
        }
        (Ok(Request::Renew), Some(peer)) => match applicant.public_key {
            Some(key) => renew(&service, peer.clone(), key).await,
            None => Answer::Refused(Refusal::new(
                RefusalKind::Malformed,
                "the certificate has a key of another kind than Ed25519",
            )),
        },
        (Ok(_), _) => return tracing::debug!(%remote, "a request is not for whoever makes it"),
        (Err(error), _) => {
            return tracing::debug!(%remote, %error, "a request to join is not understood");
        }
    };
    if let Answer::Refused(refusal) = &answer {
        tracing::info!(%remote, reason = refusal.words, "a host or certificate was refused");
    }
    // The other end may have gone meanwhile.
    let _ = applicant.reply.send(answer.bytes().into());
}

/// Until when this node can sign. A key that cannot be used is told in the log.
pub(crate) async fn term(service: &Service) -> Option<AuthorityTerm> {
    let authority = service.authority().clone();
    let read = tokio::task::spawn_blocking(move || authority.not_after());
    match read.await.ok()? {
        Ok(not_after) => not_after.map(|not_after| AuthorityTerm { not_after }),
        Err(error) => {
            tracing::warn!(%error, "the key of this authority cannot be used");
            None
        }
    }
}

/// Lets a host join: by this node if it knows the invitation, else by another authority.
async fn join(service: &Service, found: &Found, asked: Asked) -> Answer {
    let here = admit(service, asked.clone()).await;
    let is_unknown =
        matches!(&here, Answer::Refused(refusal) if refusal.kind == RefusalKind::Unknown);
    if is_unknown {
        relay(service, found, asked, here).await
    } else {
        here
    }
}

/// Judges it here.
async fn admit(service: &Service, asked: Asked) -> Answer {
    let (authority, around) = (service.authority().clone(), around(service));
    let by = around.identity.name().to_owned();
    let judged = tokio::task::spawn_blocking(move || authority.admit(&asked, &around)).await;
    match judged {
        Ok(Ok(admitted)) => {
            tell(service, &admitted);
            Answer::Granted(admitted.sealed)
        }
        Ok(Err(refusal)) => Answer::Refused(refusal),
        Err(error) => {
            tracing::error!(%error, "judging a host that wants to join failed");
            let words = format!("{by} has failed; its log says why");
            Answer::Refused(Refusal::new(RefusalKind::Authority, words))
        }
    }
}

/// What an authority must know of this node and its cluster now.
fn around(service: &Service) -> Around {
    let (view, revocations) = (service.view(), service.revocations());
    let own = service.info().address.to_string();
    let others = view
        .members
        .iter()
        .filter(|member| member.id != view.me && member.state.is_reachable())
        .map(|member| member.profile.address.to_string());
    Around {
        identity: service.endpoint().identity(),
        taken: view
            .members
            .iter()
            .map(|member| (member.profile.name.to_string(), member.id))
            .collect(),
        revoked: revocations
            .iter()
            .map(|revoked| revoked.subject().to_string())
            .collect(),
        withdrawn: withdrawn(&revocations),
        seeds: std::iter::once(own)
            .chain(others)
            .take(SEEDS_TOLD)
            .collect(),
    }
}

/// Tells that an invitation was used.
fn tell(service: &Service, admitted: &Admitted) {
    let Some((invitation, used)) = &admitted.fresh else {
        return;
    };
    let (name, earlier) = (used.name.as_str(), admitted.earlier_name.as_deref());
    match earlier {
        None => tracing::info!(
            %invitation, member = name, id = used.node, address = used.address, "a host was admitted"
        ),
        Some(earlier) => tracing::info!(
            %invitation, member = name, earlier, id = used.node, address = used.address,
            "a node was given another name"
        ),
    }
    let renamed = earlier.map(|earlier| format!(", {earlier} before"));
    service.events().append(ClusterEvent {
        at: Millis(used.at_ms),
        kind: EventKind::Member,
        what: EventType::Admitted,
        name: used.name.clone(),
        more: EventDetails {
            id: Some(used.node.clone()),
            detail: Some(format!(
                "by the invitation {invitation}, from {}{}",
                used.address,
                renamed.unwrap_or_default()
            )),
            ..EventDetails::default()
        },
    });
}

/// Passes it on to the authorities among the members, one after the other until one knows the
/// invitation.
async fn relay(service: &Service, found: &Found, asked: Asked, here: Answer) -> Answer {
    let authorities = known_authorities(service, found).await;
    if authorities.is_empty() && term(service).await.is_none() {
        let words = format!(
            "{} is no authority, and reaches none that could sign; ask a node that is one",
            service.info().name
        );
        return Answer::Refused(Refusal::new(RefusalKind::Authority, words));
    }
    let relayed = Relayed {
        application: asked.application,
        exporter: asked.exporter,
        address: asked.address,
    };
    let relayed = match asked.chain {
        Some(chain) => Request::RelayRename { relayed, chain },
        None => Request::Relay(relayed),
    };
    let mut answer = here;
    for signing in authorities {
        match ask(service, &signing.member, &relayed, SIGN_PATIENCE).await {
            Ok(Answer::Refused(refusal)) if refusal.kind == RefusalKind::Unknown => {
                answer = Answer::Refused(refusal);
            }
            Ok(judged @ (Answer::Granted(_) | Answer::Refused(_))) => return judged,
            Ok(_) => {}
            Err(reason) => {
                found.lock().await.take();
                let words = format!("{} does not sign: {reason}", signing.member.profile.name);
                answer = Answer::Refused(Refusal::new(RefusalKind::Authority, words));
            }
        }
    }
    answer
}

/// The authorities among the members, asked for only if that was not done just now.
async fn known_authorities(service: &Service, found: &Found) -> Vec<Signing> {
    let mut found = found.lock().await;
    let known = found.as_ref().filter(|(until, _)| Instant::now() < *until);
    if let Some((_, known)) = known {
        return known.clone();
    }
    let asked = authorities(service).await;
    let good_for = if asked.is_empty() {
        NONE_GOOD_FOR
    } else {
        FOUND_GOOD_FOR
    };
    *found = Some((Instant::now() + good_for, asked.clone()));
    asked
}

/// Asks a member; in words why there is no answer.
pub(crate) async fn ask(
    service: &Service,
    member: &MemberView,
    request: &Request,
    patience: Duration,
) -> Result<Answer, String> {
    asked(service, member, request, patience)
        .await
        .map(|(answer, _)| answer)
}

/// The same, with when the member's certificate expires.
async fn asked(
    service: &Service,
    member: &MemberView,
    request: &Request,
    patience: Duration,
) -> Result<(Answer, i64), String> {
    let bytes = request.bytes().map_err(|error| error.to_string())?;
    let endpoint = service.endpoint();
    let conversation = endpoint
        .apply(member.profile.address, member.id.0)
        .await
        .map_err(|error| error.to_string())?;
    let (answer, _) = conversation
        .ask(&bytes, patience)
        .await
        .map_err(|error| error.to_string())?;
    let answer = Answer::read(&answer).map_err(|error| error.to_string())?;
    Ok((answer, conversation.certificate_expires_at))
}

/// The other members that can sign now, those that can for longest first.
pub(crate) async fn authorities(service: &Service) -> Vec<Signing> {
    let mut signing: Vec<Signing> = certificates(service)
        .await
        .into_iter()
        .filter_map(|one| {
            let term = one.term?;
            Some(Signing {
                member: one.member,
                term,
            })
        })
        .collect();
    signing.sort_by_key(|one| (std::cmp::Reverse(one.term.not_after), one.member.id));
    signing
}

/// What the other members say of their certificates, by name. All that are reachable are asked at
/// once.
pub(crate) async fn certificates(service: &Service) -> Vec<Certificates> {
    let view = service.view();
    let mut asking = JoinSet::new();
    let mut known = Vec::new();
    for member in view.members.iter().filter(|member| member.id != view.me) {
        if member.state.is_reachable() && asking.len() < MAX_ASKED {
            let (service, member) = (service.clone(), member.clone());
            asking.spawn(async move {
                let answer = asked(&service, &member, &Request::Who, WHO_PATIENCE).await;
                let (expires_at, term) = match answer {
                    Ok((Answer::Who(term), expires_at)) => (Some(expires_at), term),
                    Ok((_, expires_at)) => (Some(expires_at), None),
                    Err(_) => (None, None),
                };
                Certificates {
                    member,
                    expires_at,
                    term,
                }
            });
        } else {
            known.push(Certificates {
                member: member.clone(),
                expires_at: None,
                term: None,
            });
        }
    }
    known.extend(asking.join_all().await);
    known.sort_by(|a, b| a.member.profile.name.cmp(&b.member.profile.name));
    known
}

/// Signs a member's key again.
async fn renew(service: &Service, peer: PeerName, key: [u8; 32]) -> Answer {
    let (authority, identity) = (service.authority().clone(), service.endpoint().identity());
    let by = identity.name().to_owned();
    let signed = tokio::task::spawn_blocking(move || {
        let bearer = Bearer {
            id: peer.id,
            name: &peer.name,
            role: peer.role,
        };
        authority.renew(bearer, &key, LIFE, &identity)
    });
    let refused = |words: String| Answer::Refused(Refusal::new(RefusalKind::Authority, words));
    match signed.await {
        Ok(Ok(certified)) => {
            tracing::info!(
                member = certified.name,
                not_after = certified.not_after,
                "a certificate was renewed"
            );
            Answer::Renewed(certified.pem)
        }
        Ok(Err(error)) => refused(format!("{by} cannot sign now: {error}")),
        Err(error) => {
            tracing::error!(%error, "renewing a certificate failed");
            refused(format!("{by} has failed; its log says why"))
        }
    }
}
