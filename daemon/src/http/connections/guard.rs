//! What protects the TCP listener from web pages that a user of this host happens to look at.
//!
//! A page from elsewhere can make a browser send requests to this host. `Host` must name this
//! listener, which a name that was pointed here (DNS rebinding) does not; and an `Origin`, which
//! browsers send along, must be this listener's own. A body must be declared as JSON, which a page
//! cannot do unasked: tokens are what keeps strangers out, this is a second wall. What a browser says to
//! come from another site (`Sec-Fetch-Site`) is refused as well: it says so also where it sends no
//! `Origin`.

use crate::http::Api;
use crate::http::connections::serve::Reached;
use crate::http::problem::{Kind, Problem};
use axum::body::HttpBody;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::Response;
use std::net::IpAddr;

/// Checks `Host`, `Origin` and `Content-Type` of a request by TCP.
pub(crate) async fn check(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let reached = request.extensions().get::<Reached>().copied();
    let local = reached.map(|reached| reached.at.ip());
    let (host, policy) = (host(&request)?, api.policy());
    if !is_ours(&host, local, &policy.hosts) {
        let right = "it must be this listener's address, localhost or a name in [http] hosts";
        return Err(Problem::new(
            Kind::Forbidden,
            format!("Host is {host:?}; {right}", host = host.as_str()),
        ));
    }
    if let Some(origin) = request.headers().get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let by_tls = reached.is_some_and(|reached| reached.by_tls);
        if !own_scheme(origin, by_tls)
            .is_some_and(|origin| is_same_origin(origin, &host, local, &policy.hosts))
        {
            return Err(Problem::new(
                Kind::Forbidden,
                format!(
                    "Origin is {origin:?}, another \
                site"
                ),
            ));
        }
    }
    must_be_from_here(&request)?;
    must_be_json(&request)?;
    Ok(next.run(request).await)
}

/// A link on another site may lead here; nothing else that such a site has a browser do.
fn must_be_from_here(request: &Request) -> Result<(), Problem> {
    let says = |name: &str, word: &str| {
        let value = request.headers().get(name);
        value.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(word.as_bytes()))
    };
    let is_visit = request.method() == Method::GET && says("sec-fetch-mode", "navigate");
    if says("sec-fetch-site", "cross-site") && !is_visit {
        return Err(Problem::new(
            Kind::Forbidden,
            "Sec-Fetch-Site is \"cross-site\": another site asked the browser for this",
        ));
    }
    Ok(())
}

fn must_be_json(request: &Request) -> Result<(), Problem> {
    if request.body().is_end_stream() {
        return Ok(());
    }
    if let Some(coding) = request.headers().get(header::CONTENT_ENCODING)
        && !coding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(Problem::new(
            Kind::MediaType,
            format!("Content-Encoding is {coding:?}; bodies are read as they are"),
        ));
    }
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .map(|kind| kind.to_str().unwrap_or_default());
    match kind {
        Some(kind) if is_json(kind) || is_document(request.method(), kind) => Ok(()),
        Some(kind) => Err(Problem::new(
            Kind::MediaType,
            format!("Content-Type is {kind:?}; by TCP it must be application/json"),
        )),
        None => Err(Problem::new(
            Kind::MediaType,
            "the body has no Content-Type; by TCP it must be application/json",
        )),
    }
}

/// A document that is put: a form of another site can neither put nor declare it so without being asked.
fn is_document(method: &Method, kind: &str) -> bool {
    method == Method::PUT && kind.eq_ignore_ascii_case("application/octet-stream")
}

/// JSON, or something that is written as JSON, such as `application/merge-patch+json` (RFC 6839,
/// section 3.1).
fn is_json(kind: &str) -> bool {
    let bare = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    bare.strip_prefix("application/")
        .is_some_and(|kind| kind == "json" || kind.ends_with("+json"))
}

/// Where the client believes to be: in the request line, if that has a whole URL, else in `Host`.
fn host(request: &Request) -> Result<Authority, Problem> {
    if let Some(authority) = request.uri().authority() {
        return Ok(authority.clone());
    }
    let mut values = request.headers().get_all(header::HOST).iter();
    let host = values
        .next()
        .and_then(|host| host.to_str().ok())
        .and_then(|host| host.parse::<Authority>().ok());
    match (host, values.next()) {
        (Some(host), None) => Ok(host),
        (Some(_) | None, _) => Err(Problem::malformed(
            "the request has not exactly one valid \
            Host",
        )),
    }
}

/// The port is not compared: it differs behind a forwarded port, and proves nothing.
fn is_ours(authority: &Authority, local: Option<IpAddr>, hosts: &[String]) -> bool {
    let host = authority.host();
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => {
            local.is_some_and(|local| local.to_canonical() == address.to_canonical())
                || is_named(bare, hosts)
        }
        Err(_) => host.eq_ignore_ascii_case("localhost") || is_named(host, hosts),
    }
}

fn is_named(host: &str, hosts: &[String]) -> bool {
    hosts.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// An origin without its scheme, if it may be this listener's. One that speaks no TLS may stand
/// behind a proxy that does.
fn own_scheme(origin: &str, by_tls: bool) -> Option<&str> {
    let plain = origin.strip_prefix("http://").filter(|_| !by_tls);
    plain.or_else(|| origin.strip_prefix("https://"))
}

fn is_same_origin(origin: &str, host: &Authority, local: Option<IpAddr>, hosts: &[String]) -> bool {
    let Ok(origin) = origin.parse::<Authority>() else {
        return false;
    };
    // Another port of this host is another site: anybody's program may listen there.
    origin.port_u16() == host.port_u16() && is_ours(&origin, local, hosts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    fn ours(host: &str) -> bool {
        is_ours(
            &host.parse().unwrap(),
            LOCAL,
            &["muster.example".to_owned()],
        )
    }

    #[test]
    fn a_host_is_the_address_localhost_or_configured() {
        for host in [
            "127.0.0.1:6879",
            "127.0.0.1",
            "localhost:1",
            "LOCALHOST",
            "muster.example:80",
            "Muster.Example",
        ] {
            assert!(ours(host), "{host}");
        }
        for host in [
            "evil.example:6879",
            "127.0.0.2:6879",
            "localhost.evil.example",
            "[::1]:6879",
            "0x7f000001",
        ] {
            assert!(!ours(host), "{host}");
        }
        assert!(is_ours(
            &"[::1]:6879".parse().unwrap(),
            Some(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)),
            &[]
        ));
    }

    #[test]
    fn a_body_is_json_or_written_as_json() {
        for kind in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/merge-patch+json",
        ] {
            assert!(is_json(kind), "{kind}");
        }
        for kind in [
            "",
            "json",
            "text/plain",
            "text/json",
            "application/x-www-form-urlencoded",
            "text/plain; application/json",
        ] {
            assert!(!is_json(kind), "{kind}");
        }
    }

    #[test]
    fn a_body_needs_a_type_and_nothing_needs_none() {
        let request = |kind: Option<&str>, body: &'static str| {
            let request = kind
                .into_iter()
                .fold(axum::http::Request::post("/"), |request, kind| {
                    request.header(header::CONTENT_TYPE, kind)
                });
            must_be_json(&request.body(axum::body::Body::from(body)).unwrap())
                .map_err(|problem| problem.status())
        };
        assert_eq!(request(None, ""), Ok(()));
        assert_eq!(request(Some("text/plain"), ""), Ok(()));
        assert_eq!(request(Some("application/json"), "{}"), Ok(()));
        assert_eq!(
            (request(None, "{}"), request(Some("text/plain"), "{}")),
            (Err(415), Err(415))
        );
    }

    #[test]
    fn a_body_is_not_encoded() {
        let request = |coding: &str| {
            let request = axum::http::Request::post("/")
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::CONTENT_ENCODING, coding);
            must_be_json(&request.body(axum::body::Body::from("{}")).unwrap())
                .map_err(|problem| problem.status())
        };
        assert_eq!((request("gzip"), request("identity")), (Err(415), Ok(())));
    }

    #[test]
    fn another_site_may_link_here_and_no_more() {
        let request = |method: Method, site: &str, mode: &str| {
            let request = axum::http::Request::builder()
                .method(method)
                .header("sec-fetch-site", site)
                .header("sec-fetch-mode", mode);
            must_be_from_here(&request.body(axum::body::Body::empty()).unwrap())
                .map_err(|problem| problem.status())
        };
        assert_eq!(request(Method::POST, "cross-site", "no-cors"), Err(403));
        assert_eq!(request(Method::POST, "cross-site", "navigate"), Err(403));
        assert_eq!(request(Method::GET, "cross-site", "no-cors"), Err(403));
        assert_eq!(request(Method::GET, "cross-site", "navigate"), Ok(()));
        assert_eq!(request(Method::POST, "same-origin", "cors"), Ok(()));
    }

    #[test]
    fn an_origin_is_ours_with_the_same_port_only() {
        let host = "127.0.0.1:6879".parse().unwrap();
        let same = |origin| {
            own_scheme(origin, false)
                .is_some_and(|origin| is_same_origin(origin, &host, LOCAL, &[]))
        };
        assert!(same("http://127.0.0.1:6879") && same("http://localhost:6879"));
        for origin in [
            "null",
            "",
            "http://127.0.0.1:3000",
            "http://evil.example:6879",
            "file://",
            "http://127.0.0.1",
        ] {
            assert!(!same(origin), "{origin}");
        }
    }

    #[test]
    fn what_speaks_tls_is_another_site_than_what_does_not() {
        assert_eq!(own_scheme("http://a:1", true), None);
        assert_eq!(own_scheme("https://a:1", true), Some("a:1"));
        assert_eq!(own_scheme("http://a:1", false), Some("a:1"));
        assert_eq!(own_scheme("https://a:1", false), Some("a:1"));
    }
}
