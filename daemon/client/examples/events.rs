//! Prints what happens in a cluster, over restarts of the daemon: `cargo run -p client --example
//! events` with `MUSTER_SOCKET` set.

use client::{ApiPath, Client};
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::new(std::env::var("MUSTER_SOCKET")?, Duration::from_secs(5));
    let mut events = client.follow(&ApiPath::new(&["events"]));
    loop {
        match events.next().await {
            Ok(event) if event.event == "snapshot" => println!("these are as they are now"),
            Ok(event) => println!("{}", event.data),
            Err(error) => eprintln!("{error}; trying again"),
        }
    }
}
