//! Whether anybody has answered of those that this node looks for since its start.

use super::{Finding, HERE, Level};
use node::cluster::{Search, Sought, in_words};

/// One thing that is wrong: how bad it is, what it is, what to do about it.
pub(crate) struct Wrong {
    pub(crate) level: Level,
    pub(crate) what: String,
    pub(crate) remedy: &'static str,
}

const NO_ANSWER: &str = "see that [quic] seeds has their names and ports right, that musterd runs \
    there, and that UDP passes between both hosts";
const REFUSED: &str = "compare the clusters, certificates, versions and clocks of both (muster \
    status and muster doctor there); a certificate of another cluster is issued again";
const SILENT: &str = "see whether this host's network is up and whether they run; if they have \
    other addresses now, muster join HOST:PORT with one of them";

fn remedy(sought: &[Sought], silent: &'static str) -> &'static str {
    let is_refused = sought.iter().any(|one| one.is_refused);
    if is_refused { REFUSED } else { silent }
}

/// All that is wrong with the search by now.
pub(crate) fn judge(search: &Search) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    if let Some(what) = search.lonely() {
        wrong.push(Wrong {
            level: Level::Critical,
            what,
            remedy: remedy(&search.seeds, NO_ANSWER),
        });
    } else if search.is_long && !search.seeds.is_empty() {
        wrong.push(Wrong {
            level: Level::Warning,
            what: format!(
                "seeds have never answered since this node started: {}",
                in_words(&search.seeds)
            ),
            remedy: remedy(&search.seeds, NO_ANSWER),
        });
    }
    if search.is_long && !search.members.is_empty() {
        wrong.push(Wrong {
            level: Level::Critical,
            what: format!(
                "no known member has answered since this node started: {}",
                in_words(&search.members)
            ),
            remedy: remedy(&search.members, SILENT),
        });
    }
    wrong
}

/// The same for `muster doctor`, which tells what is good, too. `seeds` is how many there are.
pub(crate) fn examine(search: &Search, seeds: usize) -> Vec<Finding> {
    let check = "seeds";
    let wrong = judge(search);
    if wrong.is_empty() && seeds > 0 && search.seeds.is_empty() {
        let what = format!("all {seeds} seeds have answered since this node started");
        return vec![Finding::good(check, HERE, what)];
    }
    let told = wrong
        .into_iter()
        .map(|wrong| Finding::of_level(wrong.level, check, HERE, wrong.what, wrong.remedy));
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sought(is_refused: bool) -> Vec<Sought> {
        vec![Sought {
            name: "h1:6878".to_owned(),
            outcome: "no answer within 1.5 s".to_owned(),
            is_refused,
        }]
    }

    fn levels(search: &Search) -> Vec<Level> {
        judge(search).into_iter().map(|wrong| wrong.level).collect()
    }

    #[test]
    fn a_node_that_joined_nobody_is_told_at_once_and_other_silence_after_a_while() {
        let mut search = Search {
            seeds: sought(false),
            is_first: true,
            ..Search::default()
        };
        assert_eq!(levels(&search), [Level::Critical]);
        assert!(judge(&search).iter().all(|wrong| {
            wrong.what.contains("h1:6878 (no answer within 1.5 s)") && wrong.remedy == NO_ANSWER
        }));
        search.is_first = false;
        assert_eq!(levels(&search), []);
        assert!(examine(&search, 1).is_empty());
        search.is_long = true;
        assert_eq!(levels(&search), [Level::Warning]);
        search.members = sought(true);
        assert_eq!(levels(&search), [Level::Warning, Level::Critical]);
        assert_eq!(
            judge(&search).pop().map(|wrong| wrong.remedy),
            Some(REFUSED)
        );
    }

    #[test]
    fn seeds_that_all_answered_are_good() {
        let found = examine(&Search::default(), 2);
        assert!(matches!(&found[..], [finding] if finding.level == Level::Good));
        assert!(examine(&Search::default(), 0).is_empty());
    }
}
