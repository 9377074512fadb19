//! Adds an entry to a list and prints the list: `cargo run -p client --example entries -- LIST TITLE`
//! with `MUSTER_SOCKET` set.

use client::{ApiPath, Client, ClientError};
use serde_json::json;
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(list), Some(title)) = (words.next(), words.next()) else {
        return Err("two words are needed: a list and a title".into());
    };
    let client = Client::new(std::env::var("MUSTER_SOCKET")?, Duration::from_secs(5));
    let entries = ApiPath::new(&["lists", &list, "entries"]);
    let body = json!({ "title": title });
    match client
        .call(hyper::Method::POST, &entries, Some(&body), None)
        .await
    {
        Ok(added) => println!("added {}", added.body),
        // What the daemon refuses it says in words for the user.
        Err(ClientError::Problem(problem)) => return Err(problem.to_string().into()),
        Err(error) => return Err(error.into()),
    }
    for entry in client.items(&entries).await? {
        println!("{entry}");
    }
    Ok(())
}
