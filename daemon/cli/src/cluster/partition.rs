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
        let is_enough = wanted.is_none_or(|wanted| is_reached(wanted, &answer.value.verdict));
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
    let seen = printable(answer.value.verdict.as_str());
    match (is_enough, args.wait) {
        (true, _) => Ok(()),
        (false, Some(_)) => Err(Failure::Timeout(format!(
            "the verdict is still {seen} after {} s",
            limit.as_secs_f32()
        ))),
        (false, None) => Err(Failure::Conflict(format!("the verdict is {seen}"))),
    }
}

fn is_reached(wanted: Reach, verdict: &PartitionVerdict) -> bool {
    match wanted {
        Reach::Whole => *verdict == PartitionVerdict::Whole,
        Reach::Majority => [PartitionVerdict::Whole, PartitionVerdict::Majority].contains(verdict),
    }
}

fn show(session: &Session<'_>, partition: &PartitionView) -> Result<(), Failure> {
    let paint = if partition.verdict == PartitionVerdict::Whole {
        Paint::Green
    } else {
        Paint::Red
    };
    let reach = format!(
        "{}: {} of {} nodes reachable",
        printable(partition.verdict.as_str()),
        partition.reachable,
        partition.expected
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
        let reached = |wanted| all.clone().map(|verdict| is_reached(wanted, &verdict));
        assert_eq!(reached(Reach::Majority), [true, true, false, false, false]);
        assert_eq!(reached(Reach::Whole), [true, false, false, false, false]);
    }
}
