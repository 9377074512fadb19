//! Against a server made by hand, which answers each connection with fixed bytes.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

/// Answers the connections to a socket in turn, and gives back the requests' heads and bodies.
async fn serve(socket: PathBuf, answers: Vec<String>) -> Vec<String> {
    let listener = UnixListener::bind(socket).unwrap();
    let mut requests = Vec::new();
    for answer in answers {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 65536];
        let read = stream.read(&mut buffer).await.unwrap();
        requests.push(String::from_utf8_lossy(&buffer[..read]).into_owned());
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
    requests
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: \
        application/json\r\netag: \"e1\"\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Runs a server with these answers beside a client's calls; gives back the requests and the calls'
/// result.
async fn with_server<T>(
    answers: Vec<String>,
    calls: impl AsyncFnOnce(Client) -> T,
) -> (Vec<String>, T) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let server = tokio::spawn(serve(socket.clone(), answers));
    while !socket.exists() {
        tokio::task::yield_now().await;
    }
    let result = calls(Client::new(socket, Duration::from_secs(60))).await;
    (server.await.unwrap(), result)
}

#[tokio::test]
async fn a_call_sends_json_and_reads_json() {
    let (requests, reply) =
        with_server(vec![answer("201 Created", "{\"id\":1}")], async |client| {
            let body = serde_json::json!({"title": "x"});
            client
                .call(
                    Method::POST,
                    &ApiPath::new(&["lists", "b b", "entries"]),
                    Some(&body),
                    Some("\"e0\""),
                )
                .await
                .unwrap()
        })
        .await;
    assert_eq!(
        (
            reply.status.as_u16(),
            reply.body["id"].as_u64(),
            reply.etag.as_deref()
        ),
        (201, Some(1), Some("\"e1\""))
    );
    assert!(
        requests[0].starts_with("POST /v1/lists/b%20b/entries HTTP/1.1\r\n"),
        "{requests:?}"
    );
    assert!(
        requests[0].contains("if-match: \"e0\"\r\n")
            && requests[0].ends_with("\r\n\r\n{\"title\":\"x\"}"),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_problem_is_an_error_with_its_words() {
    let problem = "{\"type\":\"/problems/not-found\",\"title\":\"Not \
        found\",\"status\":404,\"detail\":\"no list bob\",\"x\":1}";
    let plain = "HTTP/1.1 502 Bad\r\ncontent-length: 5\r\n\r\nwrong".to_owned();
    let (_, ()) = with_server(
        vec![answer("404 Not Found", problem), plain],
        async |client| {
            let ClientError::Problem(problem) =
                client.get(&ApiPath::new(&["x"])).await.unwrap_err()
            else {
                panic!("no problem")
            };
            assert_eq!(
                (
                    problem.status,
                    problem.to_string().as_str(),
                    problem.raw["x"].as_u64()
                ),
                (404, "no list bob", Some(1))
            );
            let ClientError::Problem(problem) =
                client.get(&ApiPath::new(&["x"])).await.unwrap_err()
            else {
                panic!("no problem")
            };
            assert_eq!(
                (problem.status, problem.to_string().as_str()),
                (502, "wrong")
            );
        },
    )
    .await;
}

#[tokio::test]
async fn all_pages_are_read() {
    let pages = vec![
        answer("200 OK", "{\"items\":[1,2],\"next\":\"c\"}"),
        answer("200 OK", "{\"items\":[3],\"next\":null}"),
    ];
    let (requests, items) = with_server(pages, async |client| {
        client.items(&ApiPath::new(&["lists"])).await.unwrap()
    })
    .await;
    assert_eq!(items, [1, 2, 3]);
    assert!(
        requests[1].starts_with(
            "GET /v1/lists?limit=1000&cursor=c \
        HTTP/1.1\r\n"
        ),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_stream_yields_its_events_until_it_ends() {
    let body = "event: snapshot\ndata: {}\n\n: tick\n\nid: 2\nevent: added\ndata: 1\n\n";
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: \
        {}\r\n\r\n{body}",
        body.len()
    );
    let (requests, events) = with_server(vec![head], async |client| {
        let mut stream = client
            .stream(&ApiPath::new(&["events"]), Some("1"))
            .await
            .unwrap();
        let mut events = Vec::new();
        while let Some(event) = stream.next().await.unwrap() {
            events.push(event.event);
        }
        events
    })
    .await;
    assert_eq!(events, ["snapshot", "added"]);
    assert!(
        requests[0].to_lowercase().contains("last-event-id: 1\r\n"),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_stream_that_breaks_goes_on_after_its_last_event() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
    let first = "id: 7\nevent: added\ndata: 1\n\n";
    let broken = format!("{head}content-length: 500\r\n\r\n{first}");
    let second = "id: 8\nevent: added\ndata: 2\n\n";
    let whole = format!("{head}content-length: {}\r\n\r\n{second}", second.len());
    let (requests, events) = with_server(vec![broken, whole], async |client| {
        let mut events = client.follow(&ApiPath::new(&["events"]));
        let first = events.next().await.unwrap();
        assert!(matches!(events.next().await, Err(ClientError::Broken(_))));
        [first, events.next().await.unwrap()]
    })
    .await;
    assert_eq!(events.map(|event| event.data), ["1", "2"]);
    let second = requests[1].to_lowercase();
    assert!(
        !requests[0].to_lowercase().contains("last-event-id")
            && second.contains("last-event-id: 7"),
        "{requests:?}"
    );
}

#[tokio::test]
async fn nobody_at_the_socket_is_told_with_its_path() {
    let client = Client::new("/nonexistent/muster.sock", Duration::from_secs(60));
    let error = client.get(&ApiPath::new(&["node"])).await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Unreachable { source, .. } if source.kind() == std::io::ErrorKind::NotFound),
        "{error}"
    );
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_the_outcome_open() {
    let (_, error) = with_server(
        vec![
            "HTTP/1.1 200 OK\r\ncontent-length: \
        50\r\n\r\n{"
                .to_owned(),
        ],
        async |client| client.get(&ApiPath::new(&["node"])).await.unwrap_err(),
    )
    .await;
    assert!(matches!(error, ClientError::Broken(_)), "{error:?}");
}
