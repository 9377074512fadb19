//! Rubbish on the wires, and clients that take all they can get.

use crate::fleet::{Fleet, items};
use anyhow::ensure;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_on_the_udp_port_disturbs_nobody() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    for round in 0..2_000_u32 {
        let mut packet = vec![0; usize::try_from(rng.next_u32() % 1_400)?];
        rng.fill_bytes(&mut packet);
        if let (true, Some(first)) = (round % 3 == 0, packet.first_mut()) {
            // Looks like a QUIC Initial.
            *first = 0xc3;
        }
        socket.send_to(&packet, fleet.nodes[0].address)?;
    }
    fleet.nodes[0].add("groceries", "bread").await?;
    fleet.agree().await?;
    fleet.whole().await?;
    let log = fleet.nodes[0].log();
    ensure!(!log.contains("panicked"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_on_the_socket_gets_an_error_and_the_next_client_an_answer() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for round in 0..200 {
        let mut stream = UnixStream::connect(node.socket())?;
        stream.set_read_timeout(Some(Duration::from_millis(50)))?;
        let mut bytes = vec![0; 300];
        rng.fill_bytes(&mut bytes);
        if round % 2 == 0 {
            bytes.splice(
                ..0,
                *b"POST /v1/lists/x/entries HTTP/1.1\r\nhost: a\r\ncontent-length: 300\r\n\r\n",
            );
        }
        // It may close before all is written.
        let _ = stream.write_all(&bytes);
        let _ = stream.read(&mut [0; 512]);
    }
    let bad = node
        .call(
            "POST",
            "/v1/lists/x/entries",
            Some(&serde_json::json!({ "titel": "typo" })),
        )
        .await?;
    ensure!(
        bad.status == 400
            && bad
                .header("content-type")
                .starts_with("application/problem+json"),
        "{bad:?}"
    );
    ensure!(
        bad.json()["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("titel")),
        "{bad:?}"
    );
    ensure!(node.get("/v1/lists").await?.json()["items"] == serde_json::json!([]));
    ensure!(!node.log().contains("panicked"), "{}", node.log());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_opens_all_it_can_and_reads_nothing_does_not_lock_out_another()
-> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    for number in 0..50 {
        node.add("long", &format!("{number} {}", "x".repeat(4_000)))
            .await?;
    }
    let mut hoard = Vec::new();
    for _ in 0..2_000 {
        let Ok(mut stream) = UnixStream::connect(node.socket()) else {
            break;
        };
        stream.set_nonblocking(true)?;
        // Ask for much, again and again, and read nothing of it.
        for _ in 0..20 {
            let _ = stream.write_all(
                b"GET /v1/lists/long/entries?limit=1000 HTTP/1.1\r\nhost: muster\r\n\r\n",
            );
        }
        hoard.push(stream);
    }
    ensure!(hoard.len() >= 100, "only {} connections", hoard.len());
    for number in 0..20 {
        node.add("groceries", &format!("while hoarded {number}"))
            .await?;
    }
    ensure!(node.entries("groceries").await?.len() == 20);
    drop(hoard);
    let members = node.get("/v1/members").await?.json();
    ensure!(items(&members).len() == 1, "{members}");
    Ok(())
}
