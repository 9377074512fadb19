//! Where things are when nobody says otherwise.

use super::Surroundings;
use super::keys::{Key, Place};
use std::path::PathBuf;

/// The UDP port of nodes.
pub(super) const QUIC_PORT: u16 = 6878;

/// Where that key's thing is. Never in a directory that others can write, such as `/tmp`.
pub(super) fn place(
    surroundings: &Surroundings,
    key: &Key,
    place: Place,
) -> Result<PathBuf, String> {
    if let Some(dir) = service_directory(surroundings, place) {
        return Ok(dir);
    }
    if surroundings.root {
        return Ok(PathBuf::from(place.root));
    }
    let named = surroundings.var(place.variable).map(PathBuf::from);
    let home = || {
        surroundings
            .var("HOME")
            .filter(|_| !place.below_home.is_empty())
    };
    let dir = named.or_else(|| home().map(|home| PathBuf::from(home).join(place.below_home)));
    dir.map(|dir| dir.join(place.file)).ok_or_else(|| {
        let (key, or_home) = (
            key.dotted(),
            if place.below_home.is_empty() {
                ""
            } else {
                " or HOME"
            },
        );
        let variables = format!("{}{or_home}", place.variable);
        format!(
            "{key} is not given and has no default here, as this is not root and {variables} \
            is not set: give {key}"
        )
    })
}

/// Where systemd has made a place for it. It may name several directories; the first is the
/// service's own. A service may have credentials, but not this one.
fn service_directory(surroundings: &Surroundings, place: Place) -> Option<PathBuf> {
    let dir = PathBuf::from(surroundings.var(place.service)?.split(':').next()?);
    let path = if place.in_service.is_empty() {
        dir
    } else {
        dir.join(place.in_service)
    };
    (place.service != CREDENTIALS || path.exists()).then_some(path)
}

/// The directory of a service's credentials.
pub(super) const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
