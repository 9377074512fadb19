//! The page in the browser: three files that are part of the program, served by TCP to anyone. They
//! hold nothing secret; all that the page shows it asks of the API, with a token.
//!
//! The files are built from `dashboards/web`, whose README says how.

use crate::http::Api;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// What the page may do: load its own two files, and ask this node. Nothing inline, nothing from
/// elsewhere, in no frame; and the browser refuses to turn text into markup or code.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src \
    'self'; img-src 'self' data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for \
    'script'; trusted-types 'none'";

/// A file of the page.
struct Asset {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

static ASSETS: [Asset; 3] = [
    Asset {
        path: "/",
        kind: "text/html; charset=utf-8",
        text: include_str!("../../../dashboards/web/dist/index.html"),
    },
    Asset {
        path: "/page.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("../../../dashboards/web/dist/page.js"),
    },
    Asset {
        path: "/page.css",
        kind: "text/css; charset=utf-8",
        text: include_str!("../../../dashboards/web/dist/page.css"),
    },
];

static TAGS: LazyLock<[HeaderValue; 3]> = LazyLock::new(|| ASSETS.each_ref().map(Asset::tag));

/// The routes of the files.
pub(crate) fn routes() -> Router<Api> {
    ASSETS
        .iter()
        .zip(TAGS.iter())
        .fold(Router::new(), |router, (asset, tag)| {
            router.route(
                asset.path,
                get(move |headers: HeaderMap| async move { answer(asset, tag, &headers) }),
            )
        })
}

impl Asset {
    /// Names this content: another build of the page is another tag.
    fn tag(&self) -> HeaderValue {
        let hash: [u8; 32] = Sha256::digest(self.text).into();
        let (half, _) = hash.split_at(16);
        let digits = HEXLOWER.encode(half);
        HeaderValue::from_str(&format!("\"{digits}\""))
            .unwrap_or_else(|_| HeaderValue::from_static("\"\""))
    }
}

fn answer(asset: &Asset, tag: &HeaderValue, request: &HeaderMap) -> Response {
    let is_known = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .any(|tags| names(tags, tag));
    let mut response = Response::new(if is_known {
        Body::empty()
    } else {
        Body::from(asset.text)
    });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
        // Asked for each time, so that the page is never older than the daemon; mostly the answer
        // is 304.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::ETAG, tag.clone()),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(POLICY),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ];
    response.headers_mut().extend(headers);
    response
}

/// Whether `If-None-Match` has that tag (RFC 9110, section 13.1.2: compared weakly).
fn names(tags: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(tags), Ok(tag)) = (tags.to_str(), tag.to_str()) else {
        return false;
    };
    tags.split(',')
        .map(str::trim)
        .any(|given| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_the_browser_has_is_not_sent_again() {
        let (asset, tag) = (&ASSETS[1], &TAGS[1]);
        let status = |given: &str| {
            let request = HeaderMap::from_iter([(
                header::IF_NONE_MATCH,
                HeaderValue::from_str(given).unwrap(),
            )]);
            answer(asset, tag, &request).status()
        };
        let tag_text = tag.to_str().unwrap();
        for known in [
            tag_text.to_owned(),
            format!("W/{tag_text}"),
            format!("\"x\", {tag_text}"),
            "*".to_owned(),
        ] {
            assert_eq!(status(&known), StatusCode::NOT_MODIFIED, "{known}");
        }
        assert_eq!(status("\"x\""), StatusCode::OK);
        assert_eq!(
            answer(asset, tag, &HeaderMap::new()).status(),
            StatusCode::OK
        );
    }

    #[test]
    fn each_file_has_a_tag_of_its_own() {
        assert!(TAGS[0] != TAGS[1] && TAGS[1] != TAGS[2] && TAGS[0] != TAGS[2]);
    }

    #[test]
    fn the_page_asks_for_its_own_files_only() {
        // The picture in the tab is an SVG, which names its language by this address.
        let html = ASSETS[0].text.replace("http://www.w3.org/2000/svg", "");
        assert!(html.contains("src=\"/page.js\"") && html.contains("href=\"/page.css\""));
        assert!(
            !html.contains("http:")
                && !html.contains("https:")
                && !html.contains("<style")
                && !html.contains("style=")
        );
    }
}
