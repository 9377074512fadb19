//! Adds an entry to a list and prints the list: `cargo run -p client --example entries -- LIST TITLE`
//! with `MUSTER_SOCKET` set.

use api::lists::{AtQuery, EntriesQuery, NewEntry, WriteQuery};
use api::request::TimeoutQuery;
use client::{Client, ClientError};
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(list), Some(title)) = (words.next(), words.next()) else {
        return Err("two words are needed: a list and a title".into());
    };
    let client = Client::new(std::env::var("MUSTER_SOCKET")?, Duration::from_secs(5));
    let entry = NewEntry {
        title: Some(title),
        ..NewEntry::default()
    };
    match client.add(&list, &entry, &WriteQuery::default()).await {
        Ok(added) => println!("added {}", added.value.id),
        // What the daemon refuses it says in words for the user.
        Err(ClientError::Problem(problem)) => return Err(problem.to_string().into()),
        Err(error) => return Err(error.into()),
    }
    let all = EntriesQuery::default();
    for entry in client
        .entries(&list, &all, &AtQuery::default(), &TimeoutQuery::default())
        .await?
        .value
    {
        println!("{} {}", if entry.done { "[x]" } else { "[ ]" }, entry.title);
    }
    Ok(())
}
