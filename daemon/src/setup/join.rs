//! Joining by a token, on the new host.

use super::failed;
use super::leftovers::Leftovers;
use super::place::{self, Making, Place};
use crate::config::host_port;
use api::time::Millis;
use cli::{Joined, Joining, SetupError};
use names::NodeId;
use node::admission::{ALPN, Answer, Application, EXPORTER, Grant, Refusal, RefusalKind, Request};
use pki::{Claim, Identity, NodeKey, PinError, PkiError, Token};
use std::path::PathBuf;
use std::time::Duration;
use transport::{Newcomer, NewcomerError};

/// How long a node may take to answer, another one that it asks included.
const PATIENCE: Duration = Duration::from_secs(12);
/// How often it is asked when its answer is lost: the same request uses the token once.
const ATTEMPTS: usize = 4;
/// How long between two attempts.
const PAUSE: Duration = Duration::from_secs(2);

/// What is asked for, each time in the same way.
struct Wish<'a> {
    target: &'a str,
    token: &'a Token,
    public_key: &'a [u8; 32],
    name: &'a str,
    is_chosen: bool,
    /// Of a host that is a node already, the chain of its certificate.
    chain: Option<&'a [u8]>,
}

/// Makes this host a node of the cluster that the token is of.
///
/// # Errors
/// It is a node already, or nobody lets it join; then nothing was made.
pub(crate) fn join(joining: &Joining) -> Result<Joined, SetupError> {
    let token = token(joining)?;
    let name = place::node_name(joining.placing.name.as_deref())?;
    let address = address(joining)?;
    let mut made = Leftovers::default();
    let place = Place::begin(&joining.placing, Making::Further, &mut made)?;
    made.note(&place.unfinished());
    let key = NodeKey::kept(&place.unfinished()).map_err(failed)?;
    let wish = Wish {
        target: &address,
        token: &token,
        public_key: key.public(),
        name: name.as_str(),
        is_chosen: joining.placing.name.is_some(),
        chain: None,
    };
    let grant = on_a_runtime(&wish)?;
    place.begin_anew()?;
    made.note(&place.tls());
    let identity = pki::install(&place.tls(), &key, &grant.certificate, &grant.authorities);
    let identity = identity.map_err(|error| unusable(&grant.by, &error))?;
    place.hand_over()?;
    let others = grant.seeds.into_iter().filter(|seed| *seed != address);
    let seeds: Vec<String> = std::iter::once(address.clone()).chain(others).collect();
    place.configure(&seeds, &grant.tags)?;
    made.keep();
    place.finish()?;
    let key = place.tls().join("node.key");
    joined(&identity, grant.by, None, (&place, key))
}

/// Gives the node of this host another name; its key, its id and its data stay.
///
/// # Errors
/// There is no node, or nobody gives it that name; then it is as it was.
pub(crate) fn rename(joining: &Joining) -> Result<Joined, SetupError> {
    let token = token(joining)?;
    let place = Place::of_node(&joining.placing)?;
    let before = place.identity()?;
    let name = place::node_name(joining.placing.name.as_deref())?;
    let Some(public_key) = before.public_key() else {
        return Err(SetupError::Failed(
            "the key of this node is of another kind than Ed25519: only whoever made its certificate \
             can make one with another name"
                .to_owned(),
        ));
    };
    let (address, chain) = (address(joining)?, before.chain());
    let wish = Wish {
        target: &address,
        token: &token,
        public_key: &public_key,
        name: name.as_str(),
        is_chosen: true,
        chain: Some(&chain),
    };
    let grant = on_a_runtime(&wish)?;
    let identity = place.replace_certificate(&grant.certificate);
    let identity = identity.map_err(|error| unusable(&grant.by, &error))?;
    let earlier = before.name().to_owned();
    joined(&identity, grant.by, Some(earlier), (&place, place.key()))
}

fn token(joining: &Joining) -> Result<Token, SetupError> {
    let parsed = joining.token.trim().parse();
    parsed.map_err(|error: pki::TokenError| SetupError::Usage(error.to_string()))
}

fn address(joining: &Joining) -> Result<String, SetupError> {
    host_port(&joining.address).ok_or_else(|| {
        SetupError::Usage(format!(
            "{:?} is not a host and a port, such as alpha.example:6878",
            joining.address
        ))
    })
}

fn unusable(by: &str, error: &PkiError) -> SetupError {
    SetupError::Failed(format!(
        "what {by} gave cannot be used: {error}; this host's clock says {}",
        Millis(crate::host::wall_ms())
    ))
}

fn joined(
    identity: &Identity,
    by: String,
    earlier_name: Option<String>,
    (place, key): (&Place, PathBuf),
) -> Result<Joined, SetupError> {
    Ok(Joined {
        name: identity.name().to_owned(),
        earlier_name,
        id: NodeId(identity.id()).to_string(),
        role: identity.role(),
        by,
        config: place.config.clone(),
        is_default: place.is_default,
        key,
        socket: place.socket()?,
    })
}

/// On a thread of its own, as the command line has a runtime already.
fn on_a_runtime(wish: &Wish<'_>) -> Result<Grant, SetupError> {
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        runtime.block_on(ask(wish))
    };
    std::thread::scope(|scope| {
        let asking = scope.spawn(work);
        asking
            .join()
            .unwrap_or_else(|_| Err(failed("joining has failed")))
    })
}

/// Asks until there is an answer. Only what breaks after the node was reached is tried again.
async fn ask(wish: &Wish<'_>) -> Result<Grant, SetupError> {
    let mut reached = false;
    let mut attempt = 1;
    loop {
        match ask_once(wish, &mut reached).await {
            Err(NewcomerError::Broken(_) | NewcomerError::Silent(_))
                if reached && attempt < ATTEMPTS =>
            {
                attempt += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Ok(outcome) => return outcome,
            // It was there, so that it may have let this host join before it went.
            Err(NewcomerError::Silent(reason)) if reached => {
                return Err(explained(wish.target, NewcomerError::Broken(reason)));
            }
            Err(error) => return Err(explained(wish.target, error)),
        }
    }
}

async fn ask_once(
    wish: &Wish<'_>,
    reached: &mut bool,
) -> Result<Result<Grant, SetupError>, NewcomerError> {
    let node = Newcomer::dial(wish.target, ALPN, EXPORTER, wish.token.authority).await?;
    *reached = true;
    let claim = Claim {
        exporter: &node.exporter,
        cluster: &node.peer.cluster,
        invitation: wish.token.id,
        public_key: wish.public_key,
        name: wish.name,
        is_chosen: wish.is_chosen,
        chain: wish.chain,
    };
    let proof = wish.token.key().prove(&claim);
    let application = Application {
        invitation: wish.token.id.0,
        public_key: *wish.public_key,
        name: wish.name.to_owned(),
        is_chosen: wish.is_chosen,
        proof,
    };
    let request = match wish.chain {
        Some(chain) => Request::Rename {
            application,
            chain: chain.to_vec(),
        },
        None => Request::Join(application),
    };
    let Ok(bytes) = request.bytes() else {
        return Ok(Err(failed("the request is too large")));
    };
    let answer = node.ask(&bytes, PATIENCE).await;
    let by = node.peer.name.clone();
    node.end().await;
    Ok(match Answer::read(&answer?) {
        Ok(Answer::Granted(sealed))
            if wish
                .token
                .key()
                .is_seal(&proof, &sealed.grant, &sealed.seal) =>
        {
            Grant::read(&sealed.grant).map_err(failed)
        }
        Ok(Answer::Granted(_)) => Err(SetupError::Failed(format!(
            "{by} answers with something that no authority made for this token: do not trust that node"
        ))),
        Ok(Answer::Refused(refusal)) => Err(refused(&by, wish, refusal)),
        Ok(Answer::Who(_) | Answer::Renewed(_)) | Err(_) => Err(SetupError::Failed(format!(
            "{by} gives an answer that this version does not understand"
        ))),
    })
}

fn refused(by: &str, wish: &Wish<'_>, refusal: Refusal) -> SetupError {
    let what = match wish.chain {
        Some(_) => "does not give this node another name",
        None => "does not let this host join",
    };
    let words = format!("{by} {what}: {}", refusal.words);
    match refusal.kind {
        RefusalKind::Name => SetupError::Conflict(words),
        RefusalKind::Malformed => SetupError::Usage(words),
        RefusalKind::Unknown | RefusalKind::Invitation | RefusalKind::Authority => {
            SetupError::Failed(words)
        }
    }
}

fn explained(target: &str, error: NewcomerError) -> SetupError {
    let words = match error {
        NewcomerError::Name(reason) => format!("{target} cannot be found: {reason}"),
        NewcomerError::Silent(reason) => format!(
            "nobody answers at {target} (UDP): {reason}; does musterd run there, and is the port open?"
        ),
        NewcomerError::Pin(PinError::OtherCluster) => format!(
            "{target} is of another cluster than the token, or somebody stands between: it was told \
             nothing"
        ),
        NewcomerError::Pin(PinError::Untrusted) => format!(
            "{target} shows a certificate that the token's cluster has not signed: it was told nothing"
        ),
        NewcomerError::Pin(PinError::Validity) => format!(
            "the certificate of {target} has expired, or is not valid yet, by this host's clock, which \
             says {}: set the clock, and join again",
            Millis(crate::host::wall_ms())
        ),
        NewcomerError::Unknown => format!(
            "{target} speaks an earlier version of Muster, in which nobody joins by a token: ask \
             another node, or upgrade that one"
        ),
        NewcomerError::Refused(reason) => format!("{target} refuses: {reason}"),
        NewcomerError::Broken(reason) => format!(
            "{target} was there and gave no answer, also when it was asked again ({reason}): look there \
             whether the token was used (muster invitations), and if so join with a new one"
        ),
        NewcomerError::Local(reason) => format!("this host cannot ask anybody: {reason}"),
    };
    SetupError::Failed(words)
}
