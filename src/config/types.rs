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

/// The base of a service on the Web: scheme, host, port and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebUrl {
    encrypted: bool,
    place: HostPort,
    /// Without a slash at its end.
    path: String,
}

impl WebUrl {
    /// The address in `https://host[:port][/path]`, or with `http`; `None` where there is none. It has no user, query or
    /// fragment.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (encrypted, rest) = match text.split_once("://")? {
            ("https", rest) => (true, rest),
            ("http", rest) => (false, rest),
            _ => return None,
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let has_port = !authority.ends_with(']') && authority.contains(':');
        let place = match has_port {
            true => HostPort::parse(authority)?,
            false => HostPort::parse(&format!("{authority}:{}", Self::own_port(encrypted)))?,
        };
        let legal =
            path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'"' | b'<' | b'>' | b'\\'));
        legal.then(|| Self { encrypted, place, path: path.trim_end_matches('/').to_owned() })
    }

    const fn own_port(encrypted: bool) -> u16 {
        if encrypted { 443 } else { 80 }
    }

    /// Whether it is reached over TLS.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Whether it is a service of this machine.
    #[must_use]
    pub fn is_this_machine(&self) -> bool {
        let address: Option<std::net::IpAddr> = self.place.host().parse().ok();
        address.map_or(self.place.host() == "localhost", |address| address.is_loopback())
    }

    /// Host and port to connect to.
    #[must_use]
    pub const fn place(&self) -> &HostPort {
        &self.place
    }

    /// The host as a request names it: without the port where it is the scheme's own.
    #[must_use]
    pub fn host(&self) -> String {
        let whole = self.place.to_string();
        let own = format!(":{}", Self::own_port(self.encrypted));
        whole.strip_suffix(&own).map_or(whole.clone(), ToOwned::to_owned)
    }

    /// The path, without a slash at its end.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encrypted { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.host(), self.path)
    }
}

impl Serialize for WebUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Writes a duration as it is configured: `2h`, `30days`.
pub(super) fn as_humantime<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&in_words(*duration))
}

/// A duration in the largest unit that holds it without a rest: `90days`, not `2months 29days 2h 52m 48s`.
fn in_words(duration: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "days"), (3_600, "h"), (60, "m"), (1, "s")];
    let seconds = duration.as_secs();
    let whole =
        UNITS.iter().find(|(unit, _)| duration.subsec_nanos() == 0 && seconds > 0 && seconds.is_multiple_of(*unit));
    match whole {
        Some((unit, name)) => format!("{}{name}", seconds / unit),
        None => humantime::format_duration(duration).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_in_one_unit_where_they_can_be_and_read_back() {
        for (seconds, text) in [(90 * 86_400, "90days"), (7_200, "2h"), (90, "90s"), (600, "10m"), (0, "0s")] {
            let duration = Duration::from_secs(seconds);
            assert_eq!(in_words(duration), text);
            assert_eq!(humantime::parse_duration(text).unwrap(), duration);
        }
        assert_eq!(in_words(Duration::from_millis(1_500)), "1s 500ms");
    }

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

    #[test]
    fn addresses_on_the_web_are_scheme_host_port_and_path() {
        for (text, host, place, path) in [
            ("https://pacs.hospital/dicom-web/", "pacs.hospital", "pacs.hospital:443", "/dicom-web"),
            ("http://127.0.0.1:8042/dicom-web", "127.0.0.1:8042", "127.0.0.1:8042", "/dicom-web"),
            ("https://[::1]", "[::1]", "[::1]:443", ""),
            ("https://[::1]:8443/a/b", "[::1]:8443", "[::1]:8443", "/a/b"),
        ] {
            let parsed = WebUrl::parse(text).unwrap();
            assert_eq!(
                (parsed.host().as_str(), parsed.place().to_string().as_str(), parsed.path()),
                (host, place, path)
            );
            assert_eq!(WebUrl::parse(&parsed.to_string()), Some(parsed));
        }
        assert!(WebUrl::parse("http://127.0.0.1/x").unwrap().is_this_machine());
        assert!(!WebUrl::parse("http://10.1.0.5/x").unwrap().is_this_machine());
        for illegal in [
            "pacs/dicom-web",
            "ftp://h/",
            "https://",
            "https://u:p@h/",
            "https://h/a?b",
            "https://h/a b",
            "https://h:0/",
        ] {
            assert!(WebUrl::parse(illegal).is_none(), "{illegal}");
        }
    }
}
