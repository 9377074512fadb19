//! What a call by TCP needs: one table, which the listener obeys and the OpenAPI document shows.

use crate::tokens::Scope;
use axum::http::Method;

/// Prometheus' service discovery, which has a scope of its own.
pub(crate) const PROMETHEUS_SD: &str = "/v1/sd/prometheus";

/// Who reaches whom, for which all members are asked.
const REACH: &str = "/v1/reach";

/// Where the changes are that the web page makes.
const LISTS: &str = "/v1/lists/";

/// Where the page gets its token, for the code of a link, and ends it.
pub(crate) const WEB_TOKEN: &str = "/v1/web/token";

/// What a call by TCP needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody may call it, without a token.
    Anyone,
    /// So it is with the page and with how it gets its token, which makes sense only where a token
    /// may be sent.
    Page,
    /// A token of one of these scopes.
    Token(&'static [Scope]),
    /// Another way: it is served on the unix socket only, where the caller is known for certain.
    SocketOnly,
}

impl Access {
    /// What that call needs. The path may be a request's or a route's: where they differ, in names
    /// and ids, does not matter.
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        let is_below = |dir: &str| {
            path.strip_prefix(dir)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let is_reading = method == Method::GET || method == Method::HEAD;
        match path {
            "/v1/openapi.json" => Self::Anyone,
            WEB_TOKEN if method == Method::POST => Self::Page,
            "/" | "/page.js" | "/page.css" => Self::Page,
            WEB_TOKEN => Self::Token(&[Scope::Page]),
            PROMETHEUS_SD if is_reading => Self::Token(&[Scope::Sd, Scope::Read, Scope::Page]),
            _ if !is_below("/v1") => Self::Anyone,
            _ if [
                "/v1/tokens",
                "/v1/web",
                "/v1/debug",
                "/v1/invitations",
                "/v1/heals/members",
            ]
            .into_iter()
            .any(is_below) =>
            {
                Self::SocketOnly
            }
            // All members are asked for it: somebody looks at the answer.
            REACH if is_reading => Self::Token(&[Scope::Page]),
            _ if is_reading => Self::Token(&[Scope::Read, Scope::Page]),
            _ if path.starts_with(LISTS) => Self::Token(&[Scope::Page]),
            _ => Self::SocketOnly,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READERS: Access = Access::Token(&[Scope::Read, Scope::Page]);

    #[test]
    fn operation_is_for_anyone_and_all_of_the_api_is_not() {
        for path in [
            "/metrics",
            "/healthz",
            "/readyz",
            "/v1/openapi.json",
            "/entries",
            "/v1x",
            "/nonsense",
        ] {
            assert_eq!(Access::of(&Method::GET, path), Access::Anyone, "{path}");
        }
        for path in [
            "/v1",
            "/v1/",
            "/v1/node",
            "/v1/nonsense",
            "/v1/openapi.json/",
            "/v1//openapi.json",
            "/v1/lists/x/watch",
        ] {
            assert_eq!(Access::of(&Method::GET, path), READERS, "{path}");
        }
    }

    #[test]
    fn changes_are_for_the_page_and_of_lists_only() {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert_eq!(
                Access::of(&method, "/v1/lists/bob/entries"),
                Access::Token(&[Scope::Page])
            );
            for path in [
                "/v1/lists",
                "/v1/leave",
                "/v1/members/join",
                "/v1/members/n2",
                "/v1/processes/x",
                "/v1/groups/a/b",
            ] {
                assert_eq!(
                    Access::of(&method, path),
                    Access::SocketOnly,
                    "{method} {path}"
                );
            }
        }
        assert_eq!(Access::of(&Method::OPTIONS, "/v1/node"), Access::SocketOnly);
    }

    #[test]
    fn all_members_are_asked_for_the_page_and_on_the_socket_only() {
        let page = Access::Token(&[Scope::Page]);
        assert_eq!(Access::of(&Method::GET, "/v1/reach"), page);
        for (method, path) in [
            (Method::POST, "/v1/reach"),
            (Method::GET, "/v1/heals/members"),
        ] {
            assert_eq!(Access::of(&method, path), Access::SocketOnly, "{path}");
        }
        assert_eq!(Access::of(&Method::GET, "/v1/heals"), READERS);
    }

    #[test]
    fn tokens_are_made_and_shown_on_the_socket_only() {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::DELETE] {
            for path in [
                "/v1/tokens",
                "/v1/tokens/",
                "/v1/tokens/0011223344556677",
                "/v1/web/codes",
                "/v1/web/token/",
                "/v1/debug/fault",
                "/v1/invitations",
                "/v1/invitations/001122334455",
            ] {
                assert_eq!(
                    Access::of(&method, path),
                    Access::SocketOnly,
                    "{method} {path}"
                );
            }
        }
    }

    #[test]
    fn a_code_is_traded_without_a_token_and_a_session_ended_with_its_own() {
        for path in ["/", "/page.js", "/page.css"] {
            assert_eq!(Access::of(&Method::GET, path), Access::Page, "{path}");
        }
        assert_eq!(Access::of(&Method::POST, "/v1/web/token"), Access::Page);
        assert_eq!(
            Access::of(&Method::DELETE, "/v1/web/token"),
            Access::Token(&[Scope::Page])
        );
    }

    #[test]
    fn service_discovery_has_a_scope_of_its_own() {
        assert_eq!(
            Access::of(&Method::GET, "/v1/sd/prometheus"),
            Access::Token(&[Scope::Sd, Scope::Read, Scope::Page])
        );
        assert_eq!(
            Access::of(&Method::POST, "/v1/sd/prometheus"),
            Access::SocketOnly
        );
        assert_eq!(Access::of(&Method::GET, "/v1/sd/other"), READERS);
    }
}
