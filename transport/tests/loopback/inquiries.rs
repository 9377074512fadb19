//! Inquiries: questions on connections of their own, also to peers that do not know them.

use crate::world::{Node, World, connect, settings, soon, until};
use bytes::Bytes;
use std::time::Duration;
use tokio::sync::mpsc;
use transport::{DialErrorKind, Event, Patience, Settings};

const LIMIT: Duration = Duration::from_secs(10);

fn inquiring() -> Settings {
    Settings {
        inquiry_alpn: b"inquiry/1".to_vec(),
        ..settings()
    }
}

#[tokio::test]
async fn a_question_is_answered_and_its_sender_known() {
    let world = World::new();
    let (a, mut b) = (
        Node::bind(inquiring(), world.identity("a")),
        Node::bind(inquiring(), world.identity("b")),
    );
    let (tell, mut questions) = mpsc::channel(4);
    b.endpoint.answer_by(tell);
    let answering = tokio::spawn(async move {
        while let Some(question) = questions.recv().await {
            let answer = [question.peer.name.as_bytes(), &question.bytes].concat();
            let _ = question.reply.send(answer.into());
        }
    });
    let inquiry = soon(a.endpoint.inquire(b.endpoint.local_addr(), b.id))
        .await
        .unwrap();
    assert!(inquiry.certificate_expires_at > 0 && inquiry.handshake > Duration::ZERO);
    for question in ["", "x", "?".repeat(1000).as_str()] {
        let (answer, _) = soon(inquiry.ask(question.as_bytes(), LIMIT)).await.unwrap();
        assert_eq!(answer, Bytes::from(format!("a{question}")));
    }
    assert!(
        soon(inquiry.ask(&[0; 1025], LIMIT)).await.is_err(),
        "a question that is too long \
        gets no answer"
    );
    assert!(b.urgent.try_next().is_none(), "an inquiry is no connection");
    answering.abort();
}

#[tokio::test]
async fn a_question_that_nobody_takes_gets_no_answer() {
    let world = World::new();
    let (a, b) = (
        Node::bind(inquiring(), world.identity("a")),
        Node::bind(inquiring(), world.identity("b")),
    );
    let (tell, mut questions) = mpsc::channel(1);
    b.endpoint.answer_by(tell);
    let inquiry = soon(a.endpoint.inquire(b.endpoint.local_addr(), b.id))
        .await
        .unwrap();
    let dropped = async { drop(soon(questions.recv()).await) };
    let (answer, ()) = tokio::join!(inquiry.ask(b"?", LIMIT), dropped);
    assert!(answer.is_err());
    let short = Duration::from_millis(50);
    assert!(
        soon(inquiry.ask(b"?", short)).await.is_err(),
        "nor one that waits for ever"
    );
}

#[tokio::test]
async fn a_peer_that_knows_no_inquiries_is_reached_and_not_disturbed() {
    let world = World::new();
    let (mut a, mut b) = (
        Node::bind(inquiring(), world.identity("a")),
        world.node("b"),
    );
    let (at_a, at_b) = connect(&mut a, &mut b).await;
    let error = soon(a.endpoint.inquire(b.endpoint.local_addr(), b.id))
        .await
        .unwrap_err();
    assert!(
        error.is_unknown && error.kind == DialErrorKind::Refused,
        "{error:?}"
    );
    a.endpoint.send(at_a, 0, "hello".into());
    assert_eq!(
        b.urgent().await,
        Event::Message {
            conn: at_b,
            channel: 0,
            bytes: "hello".into()
        }
    );
}

#[tokio::test]
async fn an_inquiry_with_somebody_else_is_refused_and_one_with_nobody_told() {
    let world = World::new();
    let mut quick = inquiring();
    quick.inquiry_limit = Duration::from_millis(300);
    let (a, b) = (
        Node::bind(quick, world.identity("a")),
        Node::bind(inquiring(), world.identity("b")),
    );
    let other = soon(a.endpoint.inquire(b.endpoint.local_addr(), [7; 16]))
        .await
        .unwrap_err();
    assert!(
        other.kind == DialErrorKind::Refused && !other.is_unknown,
        "{other:?}"
    );
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = soon(a.endpoint.inquire(silent.local_addr().unwrap(), b.id))
        .await
        .unwrap_err();
    assert_eq!(nobody.kind, DialErrorKind::Unreachable, "{nobody:?}");
}

#[tokio::test]
async fn a_handshake_that_is_never_finished_is_a_knock() {
    let world = World::new();
    let mut patient = inquiring();
    patient.accept_limit = Duration::from_millis(200);
    let (a, b) = (
        Node::bind(patient, world.identity("a")),
        Node::bind(inquiring(), world.identity("b")),
    );
    // Carries what b sends, and nothing that a answers.
    let way = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (at, from, to) = (
        way.local_addr().unwrap(),
        b.endpoint.local_addr(),
        a.endpoint.local_addr(),
    );
    let one_way = tokio::spawn(async move {
        let mut packet = [0; 2048];
        while let Ok((bytes, sender)) = way.recv_from(&mut packet).await {
            if sender == from {
                way.send_to(&packet[..bytes], to).await.unwrap();
            }
        }
    });
    assert_eq!(a.endpoint.knocked(at), None);
    b.endpoint
        .dial(1, at.to_string(), Some(a.id), Patience::default());
    until(|| a.endpoint.knocked(at).is_some()).await;
    assert_eq!(a.endpoint.stats().connected, 0);
    one_way.abort();
}
