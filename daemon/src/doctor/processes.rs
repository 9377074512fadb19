//! Whether the processes are there that should be.

use super::{Finding, HERE};
use crate::process::Expected;
use names::ProcessName;
use std::collections::BTreeMap;

const CHECK: &str = "processes";

/// Examines what is expected; nothing where nothing is.
pub(crate) fn examine(expected: &BTreeMap<ProcessName, Expected>) -> Vec<Finding> {
    let down = expected.iter().filter(|(_, expected)| !expected.is_up);
    let findings: Vec<Finding> = down
        .map(|(name, expected)| missing(name, expected))
        .collect();
    if findings.is_empty() && !expected.is_empty() {
        return vec![Finding::good(
            CHECK,
            HERE,
            "all processes are there that are expected",
        )];
    }
    findings
}

fn missing(name: &ProcessName, expected: &Expected) -> Finding {
    let what = match &expected.fall {
        Some(fall) if fall.is_failure => {
            format!(
                "{name} is down: it ended with failure on {}",
                fall.holder.node
            )
        }
        Some(fall) => format!("{name} is down: it ended on {}", fall.holder.node),
        None => format!("{name} is down: no process that this node reaches has the name"),
    };
    let remedy = format!(
        "start it again (muster events --name {name} --since 1h tells how it ended), or take it from \
         [processes] expect"
    );
    Finding::warning(CHECK, HERE, what, remedy)
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn only_what_is_expected_and_down_is_told() {
        let one = |is_up| Expected { is_up, fall: None };
        let all = |up: &[bool]| {
            let named = up.iter().enumerate();
            let named =
                named.map(|(n, up)| (ProcessName::new(&format!("p{n}")).unwrap(), one(*up)));
            examine(&named.collect())
        };
        assert!(all(&[]).is_empty());
        assert_eq!(all(&[true, true])[0].level, Level::Good);
        let found = all(&[true, false]);
        assert_eq!((found.len(), &found[0].level), (1, &Level::Warning));
        assert!(found[0].what.starts_with("p1 is down"), "{found:?}");
    }
}
