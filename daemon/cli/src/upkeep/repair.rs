//! `muster repair`: damage of the disk, and what is intact behind it.

use crate::args::Repair;
use crate::failure::Failure;
use crate::session::Session;
use crate::table::Table;

/// Shows it, or does what is asked.
pub(crate) async fn run(session: &Session<'_>, args: &Repair) -> Result<(), Failure> {
    let (client, output) = (session.client(), session.output);
    if args.reissue {
        let answer = session.make(client.reissue_damaged()).await?;
        if output.is_json() {
            return output.json(&answer.raw);
        }
        let (entries, missing) = (answer.value.entries, answer.value.missing);
        return output.line(&format!(
            "{entries} entries were added anew; {missing} changes are still in no list"
        ));
    }
    if args.acknowledge {
        let answer = session.make(client.acknowledge_damage()).await?;
        if output.is_json() {
            return output.json(&answer.raw);
        }
        return output.line(&format!(
            "{} damaged journals are told no more; they stay where they are",
            answer.value.journals
        ));
    }
    let answer = session.ask(client.damage()).await?;
    if output.is_json() {
        return output.json(&answer.raw);
    }
    if answer.value.items.is_empty() && output.is_for_people() {
        return output.line("no damage of the disk was found");
    }
    let mut table = Table::new(&["JOURNAL", "INTACT", "RESTORED", "ANEW", "MISSING"]);
    for one in &answer.value.items {
        table.row([
            one.file.as_str().into(),
            one.intact.to_string().into(),
            one.restored.to_string().into(),
            one.anew.to_string().into(),
            one.missing.to_string().into(),
        ]);
    }
    output.table(&table)
}
