//! Small checked values that several sections share.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// An application entity title: 1 to 16 characters of the default repertoire without backslash (PS3.5 6.2, VR AE);
/// leading and trailing spaces are not part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct AeTitle(String);

impl AeTitle {
    /// The title in that text, `None` where there is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches(' ');
        let legal = !text.is_empty()
            && text.len() <= 16
            && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
            && !text.contains('\\');
        legal.then(|| Self(text.to_owned()))
    }

    /// The title as text, without padding.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AeTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host, by name or address, and a port. Names are resolved at each connection, not here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    host: String,
    port: u16,
}

impl HostPort {
    /// The host and port in `host:port` or `[v6]:port`; `None` where they are not. Port 0 is no place to send to.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
            None => host.to_owned(),
        };
        let named = !host.is_empty()
            && host.len() <= 253
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        let legal = named || host.parse::<std::net::Ipv6Addr>().is_ok() && text.starts_with('[');
        legal.then_some(Self { host, port })
    }

    /// Name or address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Serialize for HostPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Writes a duration as it is configured: `2h`, `30days`.
pub(super) fn as_humantime<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ae_titles_have_1_to_16_printable_characters_and_no_backslash() {
        assert_eq!(AeTitle::parse(" PACS 1 ").unwrap().as_str(), "PACS 1");
        assert!(AeTitle::parse("ABCDEFGHIJKLMNOP").is_some());
        for illegal in ["", "   ", "ABCDEFGHIJKLMNOPQ", "A\\B", "A\nB", "Ä"] {
            assert!(AeTitle::parse(illegal).is_none(), "{illegal:?}");
        }
    }

    #[test]
    fn hosts_are_names_or_addresses_and_always_have_a_port() {
        for (text, host, port) in [
            ("10.1.0.5:104", "10.1.0.5", 104),
            ("pacs.hospital:11112", "pacs.hospital", 11112),
            ("[::1]:104", "::1", 104),
        ] {
            let parsed = HostPort::parse(text).unwrap();
            assert_eq!((parsed.host(), parsed.port(), parsed.to_string().as_str()), (host, port, text));
        }
        for illegal in ["pacs", "pacs:0", "pacs:65536", ":104", "::1:104", "pa cs:104", "a/b:1", "[10.0.0.1]:1"] {
            assert!(HostPort::parse(illegal).is_none(), "{illegal:?}");
        }
    }
}
