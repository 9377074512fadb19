//! A start that has to wait for its host: it says for what, and goes on by itself.

use crate::config::Config;
use crate::reload;
use crate::systemd;
use pki::{Identity, IdentityError, ServerError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often it is looked.
const LOOK_EACH: Duration = Duration::from_secs(1);
/// Between the first two lines of the log that say the same; each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// How long the service manager is to wait for the next word.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until there is something, which for now fails for a reason in words.
pub(super) fn until<T>(mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let mut told: Option<(String, Instant)> = None;
    let mut pause = FIRST_PAUSE;
    // The clock, which some reasons tell, goes on.
    let gist = |reason: &str| reason.replace(|one: char| one.is_ascii_digit(), "");
    loop {
        let reason = match attempt() {
            Ok(found) => return found,
            Err(reason) => reason,
        };
        systemd::waiting(&reason, PATIENCE);
        let now = Instant::now();
        match &told {
            Some((before, at)) if *before == gist(&reason) && now.duration_since(*at) < pause => {}
            before => {
                if before.is_some() {
                    pause = LONGEST_PAUSE.min(pause * 2);
                }
                tracing::warn!(reason = reason.as_str(), "the start waits");
                told = Some((gist(&reason), now));
            }
        }
        sleep(LOOK_EACH);
    }
}

/// The node's identity, once this host's clock says that its certificates are valid: a board without
/// a battery starts in the past, until it has heard the time from the network.
///
/// # Errors
/// The certificates cannot be used at any time.
pub(super) fn identity(config: &Config) -> anyhow::Result<Identity> {
    until(|| match reload::certificates(config) {
        Ok((identity, _)) => Ok(Ok(identity)),
        Err(error) if is_early(&error) => Err(format!("{error:#}")),
        Err(error) => Ok(Err(error)),
    })
}

fn is_early(error: &anyhow::Error) -> bool {
    let of_node = error.downcast_ref::<IdentityError>();
    let of_server = error.downcast_ref::<ServerError>();
    matches!(of_node, Some(IdentityError::NotYetValid { .. }))
        || matches!(
            of_server,
            Some(ServerError::File(IdentityError::NotYetValid { .. }))
        )
}
