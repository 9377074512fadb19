//! Entries by what holds of them, for commands that change several: `--where FIELD=VALUE`.

use super::due;
use crate::failure::Failure;
use crate::session::Session;
use api::lists::{EntriesQuery, EntryStateFilter};

/// The filter of all that was given.
pub(crate) fn read(session: &Session<'_>, given: &[String]) -> Result<EntriesQuery, Failure> {
    let mut which = EntriesQuery::default();
    for text in given {
        let Some((field, value)) = text.split_once('=') else {
            return Err(wrong(text));
        };
        // A script whose variable is empty means no list as a whole.
        if value.is_empty() {
            return Err(wrong(text));
        }
        let value = value.to_owned();
        match field {
            "tag" => which.tag.get_or_insert_default().push(value),
            "due" => once(&mut which.due, due::to_find(&value, session)?, text)?,
            "text" => once(&mut which.text, value, text)?,
            "assignee" => once(&mut which.assignee, value, text)?,
            "priority" => once(&mut which.priority, value, text)?,
            "state" => once(
                &mut which.state,
                EntryStateFilter::from(value.as_str()),
                text,
            )?,
            _ => return Err(wrong(text)),
        }
    }
    which.tz = Some(session.zone_name().to_owned());
    Ok(which)
}

fn once<T>(field: &mut Option<T>, value: T, text: &str) -> Result<(), Failure> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(Failure::Usage(format!(
            "--where {text:?} says another value of a field that was given"
        ))),
    }
}

fn wrong(text: &str) -> Failure {
    Failure::Usage(format!(
        "--where {text:?}: it must be tag, due, text, assignee, priority or state, with = and a value"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::output::Output;
    use clap::Parser;

    #[test]
    fn what_holds_is_a_filter_of_the_api() {
        let cli = Cli::try_parse_from(["muster", "lists"]).unwrap();
        let output = Output::of_process(false);
        let session = Session::new(&cli.global, &output).unwrap();
        let of = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            read(&session, &words)
        };
        let which = of(&["tag=a", "tag=b", "due=overdue", "text=x=y", "state=done"]).unwrap();
        assert_eq!(which.tag, Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(which.due.as_deref(), Some("overdue"));
        assert_eq!(which.text.as_deref(), Some("x=y"));
        assert_eq!(which.state, Some(EntryStateFilter::Done));
        for wrong in [
            &["milk"][..],
            &["colour=red"],
            &["due=soon"],
            &["text="],
            &["state=open", "tag="],
            &["text=a", "text=b"],
        ] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }
}
