//! How long certificates are good.

use super::Level;

const DAY_S: i64 = 86_400;

/// Whose certificate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// A node's: renewing it is quick.
    Node,
    /// The authority's: changing it touches every node.
    Authority,
    /// That of the key with which this node signs for others: renewing it takes the cluster's own.
    Signer,
    /// That of the TCP listener: often renewed by a program, when a third of its life is left.
    Listener,
}

/// How bad it is that it expires then, and how long it is good, in words. Both times are Unix
/// seconds.
pub(crate) fn judge(whose: Whose, at_s: i64, now_s: i64) -> (Level, String) {
    let early_s = match whose {
        Whose::Node => 30 * DAY_S,
        Whose::Authority | Whose::Signer => 90 * DAY_S,
        Whose::Listener => 14 * DAY_S,
    };
    let left_s = at_s.saturating_sub(now_s);
    let level = match left_s {
        _ if left_s < early_s / 10 => Level::Critical,
        _ if left_s < early_s => Level::Warning,
        _ => Level::Good,
    };
    let words = if left_s <= 0 {
        "has expired".to_owned()
    } else {
        format!("expires in {}", in_words(left_s))
    };
    (level, words)
}

/// What to do about it.
pub(crate) fn remedy(whose: Whose) -> &'static str {
    match whose {
        Whose::Node => {
            "muster authority renew; or, where its files were carried here, issue it again (muster \
                pki issue NAME --renew), bring it to this host, then restart musterd"
        }
        Whose::Authority => {
            "muster pki rotate where ca.key is, bring the new ca.pem to all nodes and reload them \
                (muster reload), then renew their certificates; muster pki retire ends it"
        }
        Whose::Signer => {
            "where the cluster's key is: muster pki authority NAME, with authority/ of this node's \
                data directory; then bring authority.pem back"
        }
        Whose::Listener => {
            "put a renewed one and its key where [http] tls_cert and tls_key point, then muster \
                reload"
        }
    }
}

fn in_words(seconds: i64) -> String {
    match seconds {
        ..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / DAY_S),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_expires_is_told_in_time_and_then_urgent() {
        let node = |left_s| judge(Whose::Node, 1_000_000 + left_s, 1_000_000);
        assert_eq!(
            node(30 * DAY_S),
            (Level::Good, "expires in 30 days".to_owned())
        );
        assert_eq!(
            node(29 * DAY_S),
            (Level::Warning, "expires in 29 days".to_owned())
        );
        assert_eq!(
            node(47 * 3600),
            (Level::Critical, "expires in 47 h".to_owned())
        );
        assert_eq!(
            node(3600),
            (Level::Critical, "expires in 60 min".to_owned())
        );
        assert_eq!(node(0), (Level::Critical, "has expired".to_owned()));
        assert_eq!(judge(Whose::Authority, 89 * DAY_S, 0).0, Level::Warning);
        assert_eq!(judge(Whose::Listener, 14 * DAY_S, 0).0, Level::Good);
        assert_eq!(judge(Whose::Listener, 13 * DAY_S, 0).0, Level::Warning);
    }
}
