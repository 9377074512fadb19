//! The time zones that a file names.

use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// Zones by the names that a file gives them.
pub(super) struct Zones {
    /// The reader's, for times without one.
    here: TimeZone,
    /// What the file says that the zone it describes last is called elsewhere.
    described: BTreeMap<String, String>,
    last: String,
}

impl Zones {
    pub(super) fn new(here: TimeZone) -> Self {
        Self {
            here,
            described: BTreeMap::new(),
            last: String::new(),
        }
    }

    /// The reader's.
    pub(super) fn here(&self) -> &TimeZone {
        &self.here
    }

    /// Takes a line of the description of a zone.
    pub(super) fn learn(&mut self, name: &str, value: &str) {
        match name {
            "TZID" => value.trim().clone_into(&mut self.last),
            "X-LIC-LOCATION" => {
                let last = std::mem::take(&mut self.last);
                self.described.insert(last, value.trim().to_owned());
            }
            _ => {}
        }
    }

    /// The zone of that name: of the IANA, also behind a path, or one that the file describes so.
    pub(super) fn find(&self, name: Option<&str>) -> Result<TimeZone, String> {
        let Some(name) = name else {
            return Ok(self.here.clone());
        };
        let described = self.described.get(name).map(String::as_str);
        let known = known(name).or_else(|| known(described?));
        known.ok_or_else(|| {
            format!("the time zone {name:?} is not known; names such as Europe/Berlin are")
        })
    }
}

/// `Europe/Berlin`, `/citadel.org/20210210_1/Europe/Berlin`.
fn known(name: &str) -> Option<TimeZone> {
    let mut rest = name.trim().trim_start_matches('/');
    loop {
        if let Ok(zone) = TimeZone::get(rest) {
            return Some(zone);
        }
        (_, rest) = rest.split_once('/')?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_found_by_each_name_that_files_give_it() {
        let mut zones = Zones::new(TimeZone::UTC);
        zones.learn("TZID", "W. Europe Standard Time");
        zones.learn("X-LIC-LOCATION", "Europe/Berlin");
        for name in [
            "Europe/Berlin",
            "/freeassociation.sourceforge.net/Europe/Berlin",
            "W. Europe Standard Time",
        ] {
            let zone = zones.find(Some(name)).unwrap();
            assert_eq!(zone.iana_name(), Some("Europe/Berlin"), "{name}");
        }
        assert_eq!(zones.find(None), Ok(TimeZone::UTC));
        assert!(zones.find(Some("Mars/Olympus")).is_err());
    }
}
