//! Renewing this node's own certificate while it runs: at two thirds of its life, or when somebody
//! asks. The key stays, so that one file is replaced, in one step.
//!
//! By itself a node renews what `muster init` or `muster join` has put into its data directory. A
//! certificate that an administrator has put elsewhere is renewed when somebody asks, if the daemon's
//! user may write there: one that systemd hands over as a credential never is.

use crate::admission::{self, SIGN_PATIENCE};
use crate::authority::LIFE;
use crate::config::Config;
use crate::host::wall_ms;
use crate::machines::withdrawn;
use crate::service::Service;
use node::admission::{Answer, Request};
use pki::{Identity, Withdrawn};
use std::path::Path;
use std::time::Duration;

/// How often a node looks whether it is time.
const LOOK: Duration = Duration::from_secs(10 * 60);
/// How long after its start it looks first: members are to be found before.
const FIRST_LOOK: Duration = Duration::from_secs(20);

/// Why the certificate was not renewed; it stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RenewalError {
    /// It is not this node's to write.
    #[error(
        "the certificate {0} is not this node's to write; put a renewed one there (muster pki issue \
         --renew), then reload or restart"
    )]
    Foreign(String),
    /// Nobody could sign.
    #[error("no node that can sign is reached: {0}")]
    Nobody(String),
    /// What was signed cannot be used.
    #[error("{0}")]
    Unusable(String),
}

/// A certificate that was renewed and is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Renewed {
    /// Who signed.
    pub(crate) by: String,
    /// When it expires, in Unix seconds.
    pub(crate) not_after: i64,
}

/// Renews the certificate whenever it is time, for as long as the node runs.
pub(crate) async fn keep_up(service: Service) {
    tokio::time::sleep(FIRST_LOOK).await;
    loop {
        let identity = service.endpoint().identity();
        let now = wall_ms() / 1000;
        if is_due(identity.not_before(), identity.not_after(), now)
            && is_own(&service.config().await)
        {
            match renew(&service).await {
                Ok(renewed) => tracing::info!(
                    by = renewed.by,
                    not_after = renewed.not_after,
                    "this node's certificate was renewed"
                ),
                Err(error) => tracing::warn!(%error, "this node's certificate was not renewed"),
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether two thirds of a certificate's life are over.
fn is_due(not_before: i64, not_after: i64, now: i64) -> bool {
    let life = not_after.saturating_sub(not_before).max(0);
    now >= not_before.saturating_add(life / 3 * 2)
}

/// Whether the certificate is this node's own business.
fn is_own(config: &Config) -> bool {
    config.tls.cert.starts_with(&config.data_dir)
}

/// Whether the certificate lies where this node may replace it.
fn may_write(config: &Config) -> bool {
    let dir = config.tls.cert.parent().unwrap_or(Path::new("."));
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
    let is_credential = credentials.is_some_and(|place| dir.starts_with(place));
    !is_credential && rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Renews it now: by this node itself if it is an authority, else by one that it reaches.
///
/// # Errors
/// See [`RenewalError`].
pub(crate) async fn renew(service: &Service) -> Result<Renewed, RenewalError> {
    let config = service.config().await;
    if !may_write(&config) {
        let file = config.tls.cert.display().to_string();
        return Err(RenewalError::Foreign(file));
    }
    let (by, pem) = sign(service).await?;
    let tls = config.tls;
    let written = tokio::task::spawn_blocking(move || {
        pki::replace_certificate((&tls.ca, &tls.cert, &tls.key), &pem)
    });
    let unusable = |error: &dyn std::fmt::Display| {
        RenewalError::Unusable(format!("what {by} signed cannot be used: {error}"))
    };
    let identity = written
        .await
        .map_err(|error| unusable(&error))?
        .map_err(|error| unusable(&error))?;
    let not_after = identity.not_after();
    let replaced = service.recertify(identity);
    replaced.map_err(|error| unusable(&error))?;
    Ok(Renewed { by, not_after })
}

/// Who signed, and what.
async fn sign(service: &Service) -> Result<(String, String), RenewalError> {
    if let Some(signed) = sign_here(service).await? {
        return Ok(signed);
    }
    let mut why = "none of the members that answer is an authority".to_owned();
    for signing in admission::authorities(service).await {
        let name = signing.member.profile.name.to_string();
        let answer = admission::ask(service, &signing.member, &Request::Renew, SIGN_PATIENCE);
        match taken(&name, answer.await, &withdrawn(&service.revocations())) {
            Ok(pem) => return Ok((name, pem)),
            Err(reason) => why = reason,
        }
    }
    Err(RenewalError::Nobody(why))
}

/// The certificate that an authority of that name has signed, or why there is none that is good.
fn taken(
    name: &str,
    answer: Result<Answer, String>,
    withdrawn: &Withdrawn,
) -> Result<String, String> {
    match answer {
        Ok(Answer::Renewed(pem)) if withdrawn.refuses_pem(&pem) => {
            Err(format!("{name} signs with a key that is withdrawn"))
        }
        Ok(Answer::Renewed(pem)) => Ok(pem),
        Ok(Answer::Refused(refusal)) => Err(refusal.words),
        Ok(Answer::Who(_) | Answer::Granted(_)) => Err(format!("{name} gives another answer")),
        Err(reason) => Err(format!("{name}: {reason}")),
    }
}

async fn sign_here(service: &Service) -> Result<Option<(String, String)>, RenewalError> {
    let identity = service.endpoint().identity();
    let (authority, name) = (service.authority().clone(), identity.name().to_owned());
    let signed = tokio::task::spawn_blocking(move || sign_own(&authority, &identity));
    let signed = signed
        .await
        .map_err(|error| RenewalError::Unusable(error.to_string()))?;
    Ok(signed?.map(|pem| (name, pem)))
}

fn sign_own(
    authority: &crate::authority::Authority,
    identity: &Identity,
) -> Result<Option<String>, RenewalError> {
    use crate::authority::AuthorityError;
    let Some(key) = identity.public_key() else {
        return Ok(None);
    };
    match authority.renew(identity.bearer(), &key, LIFE, identity) {
        Ok(certified) => Ok(Some(certified.pem)),
        Err(AuthorityError::None) => Ok(None),
        Err(error) => Err(RenewalError::Unusable(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_time_at_two_thirds_of_a_life() {
        assert!(!is_due(0, 300, 199));
        assert!(is_due(0, 300, 200));
        assert!(is_due(1_000, 1_300, 1_299));
        assert!(!is_due(1_000, 1_300, 0));
        assert!(is_due(10, 0, 10), "one that never was valid");
    }

    /// Its authority may not have heard of it yet.
    #[test]
    fn nothing_is_taken_that_a_withdrawn_authority_has_signed() {
        let dir = tempfile::tempdir().unwrap();
        let [ca, tls, out] = ["ca", "tls", "authority"].map(|name| dir.path().join(name));
        pki::init(&ca).unwrap();
        pki::issue(&ca, ("beta", pki::Role::Member), &tls, LIFE).unwrap();
        pki::delegate(&ca, "alpha", &out, pki::SIGNER_LIFE).unwrap();
        let [ca, cert, key] = ["ca.pem", "node.pem", "node.key"].map(|name| tls.join(name));
        let identity = Identity::load(&ca, &cert, &key).unwrap();
        let signer = pki::Signer::load(&out).unwrap().unwrap();
        let public = identity.public_key().unwrap();
        let renewed = signer.certify(identity.bearer(), &public, LIFE, &identity);
        let pem = renewed.unwrap().pem;
        let mut withdrawn = Withdrawn::default();
        let taken = |withdrawn: &Withdrawn| {
            let answer = Ok(Answer::Renewed(pem.clone()));
            super::taken("alpha", answer, withdrawn)
        };
        assert_eq!(taken(&withdrawn).as_ref(), Ok(&pem));
        withdrawn.add(signer.key_mark(), []);
        let why = "alpha signs with a key that is withdrawn".to_owned();
        assert_eq!(taken(&withdrawn), Err(why));
    }
}
