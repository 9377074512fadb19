//! `muster partition`: how much of the cluster this node reaches, and whether that is enough.

use crate::args::{Partition, Reach};
use crate::failure::Failure;
use crate::session::Session;
use crate::table::Paint;
use crate::text::printable;
use api::cluster::{PartitionVerdict, PartitionView};
use std::time::{Duration, Instant};

/// How often it is looked while more of the cluster is waited for.
const LOOK: Duration = Duration::from_millis(200);

/// `muster partition`.
pub(crate) async fn partition(session: &Session<'_>, args: &Partition) -> Result<(), Failure> {
    let begun = Instant::now();
    let limit = session.client().timeout();
    let (answer, is_enough) = loop {
        let answer = session.ask(session.client().partition()).await?;
        let wanted = args.wait.or(args.require);
        let is_enough = wanted.is_none_or(|wanted| is_reached(wanted, &answer.value));
        if is_enough || args.wait.is_none() || begun.elapsed() >= limit {
            break (answer, is_enough);
        }
        tokio::time::sleep(LOOK).await;
    };
    if session.output.is_json() {
        session.output.json(&answer.raw)?;
    } else {
        show(session, &answer.value)?;
    }
    let seen = seen(&answer.value);
    match (is_enough, args.wait) {
        (true, _) => Ok(()),
        (false, Some(_)) => Err(Failure::Timeout(format!(
            "the verdict is still {seen} after {} s",
            limit.as_secs_f32()
        ))),
        (false, None) => Err(Failure::Conflict(format!("the verdict is {seen}"))),
    }
}

/// The verdict, and what a majority would be of where that is more than what is expected.
fn seen(partition: &PartitionView) -> String {
    let verdict = printable(partition.verdict.as_str());
    match partition.majority_of {
        Some(all) if all > partition.expected => format!(
            "{verdict}, and a majority is {} of all {all} members, with those that are away",
            all / 2 + 1
        ),
        Some(_) | None => verdict,
    }
}

fn is_reached(wanted: Reach, partition: &PartitionView) -> bool {
    let verdict = &partition.verdict;
    match wanted {
        Reach::Whole => *verdict == PartitionVerdict::Whole,
        Reach::Majority => match partition.majority_of {
            Some(all) => 2 * partition.reachable > all,
            None => [PartitionVerdict::Whole, PartitionVerdict::Majority].contains(verdict),
        },
    }
}

/// How many members are away on purpose, to stand behind how many are reached.
pub(crate) fn and_away(partition: &PartitionView) -> String {
    match partition.away.len() {
        0 => String::new(),
        away => format!(", {away} away"),
    }
}

fn show(session: &Session<'_>, partition: &PartitionView) -> Result<(), Failure> {
    let paint = if partition.verdict == PartitionVerdict::Whole {
        Paint::Green
    } else {
        Paint::Red
    };
    let reach = format!(
        "{}: {} of {} nodes reachable{}",
        printable(partition.verdict.as_str()),
        partition.reachable,
        partition.expected,
        and_away(partition)
    );
    let since = session.time(&partition.since.to_string());
    session.output.line(&format!(
        "{} since {since}",
        session.output.paint(&reach, paint)
    ))?;
    for member in &partition.missing {
        let since = session.time(&member.since.to_string());
        session.output.line(&format!(
            "missing {} since {since}",
            printable(&member.name)
        ))?;
    }
    for member in &partition.away {
        let until = session.time(&member.until.to_string());
        let why = match member.why.as_str() {
            "" => String::new(),
            why => format!(": {}", printable(why)),
        };
        session.output.line(&format!(
            "away {} until {until}{why}",
            printable(&member.name)
        ))?;
    }
    if let Some(all) = partition.majority_of.filter(|_| !partition.away.is_empty()) {
        session.output.line(&format!(
            "a majority is {} of all {all} members, with those that are away",
            all / 2 + 1
        ))?;
    }
    for member in &partition.indirect {
        let since = session.time(&member.since.to_string());
        let by: Vec<String> = member.by.iter().map(|name| printable(name)).collect();
        let others = match by.is_empty() {
            true => "others can".to_owned(),
            false => format!("{} can", by.join(", ")),
        };
        session.output.line(&format!(
            "no connection to {} since {since}, but {others}: see muster reach",
            printable(&member.name)
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_is_reached_by_the_whole_too_and_by_nothing_less() {
        use PartitionVerdict::{Alone, Even, Majority, Minority, Whole};
        let all = [Whole, Majority, Even, Minority, Alone];
        let of_older = |verdict| view(verdict, (0, 0), None);
        let reached = |wanted| {
            all.clone()
                .map(|verdict| is_reached(wanted, &of_older(verdict)))
        };
        assert_eq!(reached(Reach::Majority), [true, true, false, false, false]);
        assert_eq!(reached(Reach::Whole), [true, false, false, false, false]);
    }

    fn view(
        verdict: PartitionVerdict,
        (reachable, expected): (u64, u64),
        majority_of: Option<u64>,
    ) -> PartitionView {
        PartitionView {
            verdict,
            expected,
            reachable,
            missing: Vec::new(),
            away: Vec::new(),
            majority_of,
            indirect: Vec::new(),
            since: api::time::Millis(0),
        }
    }

    #[test]
    fn a_majority_is_of_all_members_also_of_those_that_are_away() {
        let whole = |majority_of| view(PartitionVerdict::Whole, (3, 3), Some(majority_of));
        for (all, is_enough) in [(3, true), (5, true), (6, false)] {
            assert!(is_reached(Reach::Whole, &whole(all)));
            assert_eq!(is_reached(Reach::Majority, &whole(all)), is_enough, "{all}");
        }
        assert_eq!(seen(&whole(3)), "whole");
        assert_eq!(
            seen(&whole(6)),
            "whole, and a majority is 4 of all 6 members, with those that are away"
        );
    }
}
