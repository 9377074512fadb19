//! What is logged, as people write it: `info`, `warn,node=debug`.

use crate::version::OUR_CRATES;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// The filter that a text asks for; nothing is logged if it is not [`plausible`], which is asked
/// before a text comes here.
pub(crate) fn filter(text: &str) -> Targets {
    parse(text).unwrap_or_default()
}

/// Whether a text says what is to be logged: levels and `TARGET=LEVEL`, separated by commas.
pub(crate) fn plausible(text: &str) -> bool {
    parse(text).is_some()
}

/// A level alone is about this program: the libraries below it log what somebody should look at,
/// unless they are named.
fn parse(text: &str) -> Option<Targets> {
    let mut targets = Targets::new();
    for part in text.split(',') {
        targets = if let Some((target, word)) = part.split_once('=') {
            let target = Some(target.trim()).filter(|target| is_target(target))?;
            targets.with_target(target, level_of(word)?)
        } else {
            let level = level_of(part)?;
            targets
                .with_default(level.min(LevelFilter::WARN))
                .with_targets(OUR_CRATES.map(|name| (name, level)))
        };
    }
    Some(targets)
}

/// A part of a program is named like a module: `node::cluster`.
fn is_target(text: &str) -> bool {
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-');
    !text.is_empty() && text.chars().all(is_of_a_name)
}

/// [`LevelFilter`] itself would also read numbers, and an empty text as `error`.
fn level_of(word: &str) -> Option<LevelFilter> {
    Some(match word.trim().to_lowercase().as_str() {
        "off" => LevelFilter::OFF,
        "error" => LevelFilter::ERROR,
        "warn" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_alone_is_about_this_program() {
        let logs = |text: &str, target: &str, level| filter(text).would_enable(target, &level);
        use tracing::Level as L;
        assert!(logs("Debug", "node::cluster", L::DEBUG) && !logs("debug", "node", L::TRACE));
        assert!(logs("debug", "quinn", L::WARN) && !logs("debug", "quinn", L::INFO));
        assert!(logs("info", "store::commit", L::INFO));
        assert!(!logs("off", "muster", L::ERROR) && !logs("off", "quinn", L::ERROR));
        assert!(logs("error", "quinn", L::ERROR) && !logs("error", "quinn", L::WARN));
        let chosen = "quinn=trace, info,node::lists=debug";
        assert!(logs(chosen, "quinn::endpoint", L::TRACE) && !logs(chosen, "fjall", L::INFO));
        assert!(logs(chosen, "node::lists", L::DEBUG) && !logs(chosen, "node::cluster", L::DEBUG));
    }

    #[test]
    fn what_would_log_nothing_by_mistake_is_not_plausible() {
        for good in ["info", "info,node=debug", "warn,transport=trace", "OFF"] {
            assert!(plausible(good), "{good}");
        }
        for bad in [
            "",
            "inof",
            "info,debgu",
            "node=loud",
            "node=",
            "info,",
            "[span]=info",
            "=info",
        ] {
            assert!(!plausible(bad), "{bad}");
        }
    }
}
