//! Joining by a token, on the new host.

use super::failed;
use super::place::{self, Leftovers, Place};
use crate::config::host_port;
use api::time::Millis;
use cli::{Joined, Joining, SetupError};
use names::NodeId;
use node::admission::{ALPN, Answer, Application, EXPORTER, Grant, Refusal, RefusalKind, Request};
use pki::{Claim, NodeKey, PinError, Token};
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
    key: &'a NodeKey,
    name: &'a str,
    is_chosen: bool,
}

/// Makes this host a node of the cluster that the token is of.
///
/// # Errors
/// It is a node already, or nobody lets it join; then nothing was made.
pub(crate) fn join(joining: &Joining) -> Result<Joined, SetupError> {
    let token: Token = joining
        .token
        .trim()
        .parse()
        .map_err(|error: pki::TokenError| SetupError::Usage(error.to_string()))?;
    let place = Place::find(&joining.placing)?;
    let name = place::node_name(joining.placing.name.as_deref())?;
    let key = NodeKey::generate().map_err(failed)?;
    let address = host_port(&joining.address).ok_or_else(|| {
        SetupError::Usage(format!(
            "{:?} is not a host and a port, such as alpha.example:6878",
            joining.address
        ))
    })?;
    let wish = Wish {
        target: &address,
        token: &token,
        key: &key,
        name: name.as_str(),
        is_chosen: joining.placing.name.is_some(),
    };
    let grant = on_a_runtime(&wish)?;
    let mut made = Leftovers::default();
    place.make_directories(&mut made)?;
    made.note(&place.tls());
    let identity = pki::install(&place.tls(), &key, &grant.certificate, &grant.authorities);
    let identity = identity.map_err(|error| {
        SetupError::Failed(format!(
            "what {} gave cannot be used: {error}; this host's clock says {}",
            grant.by,
            Millis(crate::host::wall_ms())
        ))
    })?;
    place.hand_over()?;
    let others = grant.seeds.into_iter().filter(|seed| *seed != address);
    let seeds: Vec<String> = std::iter::once(address.clone()).chain(others).collect();
    place.configure(&seeds, &grant.tags)?;
    made.keep();
    Ok(Joined {
        name: identity.name().to_owned(),
        id: NodeId(identity.id()).to_string(),
        role: identity.role(),
        by: grant.by,
        config: place.config.clone(),
        is_default: place.is_default,
        key: place.tls().join("node.key"),
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
        public_key: wish.key.public(),
        name: wish.name,
        is_chosen: wish.is_chosen,
    };
    let proof = wish.token.key().prove(&claim);
    let request = Request::Join(Application {
        invitation: wish.token.id.0,
        public_key: *wish.key.public(),
        name: wish.name.to_owned(),
        is_chosen: wish.is_chosen,
        proof,
    });
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
        Ok(Answer::Refused(refusal)) => Err(refused(&by, refusal)),
        Ok(Answer::Who(_) | Answer::Renewed(_)) | Err(_) => Err(SetupError::Failed(format!(
            "{by} gives an answer that this version does not understand"
        ))),
    })
}

fn refused(by: &str, refusal: Refusal) -> SetupError {
    let words = format!("{by} does not let this host join: {}", refusal.words);
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
