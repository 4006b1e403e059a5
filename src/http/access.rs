//! Who may change something.
//!
//! With a token, whoever shows it as `Authorization: Bearer …`. Without one, only a person or program on this machine:
//! the connection comes from a loopback address, the `Host` header names loopback (a page that made its own name resolve
//! to 127.0.0.1 has its own name there), no proxy says that it forwards for somebody, and no browser says that another
//! site asked (`Origin`, `Sec-Fetch-Site`).

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use axum::http::header::{self, HeaderMap, HeaderName};
use sha2::{Digest as _, Sha256};

/// Shorter ones can be guessed.
const TOKEN_CHARACTERS_MIN: usize = 16;

/// The secret of `http.token_file`, kept as its digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

/// Why a token file does not serve. The token itself is not repeated.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("the token file cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// Its content is too short.
    #[error("the token has {found} characters, expected at least {TOKEN_CHARACTERS_MIN}")]
    Short {
        /// How many it has.
        found: usize,
    },
}

impl Token {
    /// Reads the token from a file; space around it does not count.
    ///
    /// # Errors
    /// When the file cannot be read or its token is too short.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        Self::new(std::fs::read_to_string(path)?.trim())
    }

    /// The token itself.
    ///
    /// # Errors
    /// When it is too short.
    pub fn new(token: &str) -> Result<Self, TokenError> {
        let found = token.chars().count();
        if found < TOKEN_CHARACTERS_MIN {
            return Err(TokenError::Short { found });
        }
        Ok(Self(Sha256::digest(token.as_bytes()).into()))
    }

    /// Comparing digests takes no longer the more of the token is right.
    fn is(&self, token: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        digest == self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// Why a request may not change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("this needs the token of http.token_file, as Authorization: Bearer")]
    Token,
    #[error("without http.token_file this may be asked from this machine only")]
    Elsewhere,
    #[error("the request was made by a page of another site")]
    CrossSite,
}

/// Whether a request may change something.
pub(super) fn may_change(token: Option<&Token>, peer: SocketAddr, headers: &HeaderMap) -> Result<(), Refusal> {
    if let Some(token) = token {
        let shown = text(headers, &header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        return if shown.is_some_and(|shown| token.is(shown.trim())) { Ok(()) } else { Err(Refusal::Token) };
    }
    let forwarded = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];
    if !peer.ip().to_canonical().is_loopback()
        || forwarded.iter().any(|name| headers.contains_key(*name))
        || !text(headers, &header::HOST).is_some_and(is_loopback_host)
    {
        return Err(Refusal::Elsewhere);
    }
    is_same_site(headers)
}

fn is_same_site(headers: &HeaderMap) -> Result<(), Refusal> {
    let fetch_site = HeaderName::from_static("sec-fetch-site");
    if headers.contains_key(&fetch_site) && !matches!(text(headers, &fetch_site), Some("same-origin" | "none")) {
        return Err(Refusal::CrossSite);
    }
    if headers.contains_key(header::ORIGIN) {
        let origin = text(headers, &header::ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
        if origin.is_none() || origin != text(headers, &header::HOST) {
            return Err(Refusal::CrossSite);
        }
    }
    Ok(())
}

/// A host with or without a port that cannot be anything but this machine.
fn is_loopback_host(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if port.is_empty() || port.starts_with(':') => address,
        Some(_) => return false,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    // Two values: whoever reads the other one decides otherwise.
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn without_token(peer: &str, pairs: &[(&'static str, &'static str)]) -> Result<(), Refusal> {
        may_change(None, format!("{peer}:1000").parse().unwrap(), &headers(pairs))
    }

    #[test]
    fn without_a_token_only_this_machine_may() {
        for (peer, host) in [("127.0.0.1", "127.0.0.1:8042"), ("[::1]", "[::1]:8042"), ("127.0.0.1", "localhost")] {
            assert_eq!(without_token(peer, &[("host", host)]), Ok(()));
        }
        assert_eq!(without_token("10.1.0.5", &[("host", "127.0.0.1:8042")]), Err(Refusal::Elsewhere));
        assert_eq!(without_token("127.0.0.1", &[]), Err(Refusal::Elsewhere));
        assert_eq!(without_token("127.0.0.1", &[("host", "evil.example:8042")]), Err(Refusal::Elsewhere));
        assert_eq!(without_token("127.0.0.1", &[("host", "127.0.0.1.evil.example")]), Err(Refusal::Elsewhere));
        let proxied = [("host", "localhost"), ("x-forwarded-for", "10.1.0.5")];
        assert_eq!(without_token("127.0.0.1", &proxied), Err(Refusal::Elsewhere));
    }

    #[test]
    fn a_page_of_another_site_may_not_use_the_browser_on_this_machine() {
        let host = ("host", "localhost:8042");
        let own = [host, ("origin", "http://localhost:8042"), ("sec-fetch-site", "same-origin")];
        assert_eq!(without_token("127.0.0.1", &own), Ok(()));
        for header in [
            ("origin", "http://evil.example"),
            ("origin", "http://localhost:9000"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert_eq!(without_token("127.0.0.1", &[host, header]), Err(Refusal::CrossSite), "{header:?}");
        }
    }

    #[test]
    fn with_a_token_only_the_token_counts() {
        let token = Token::new(SECRET).unwrap();
        let ask = |peer: &str, value: Option<&'static str>| {
            let pairs: Vec<_> = value.map(|value| ("authorization", value)).into_iter().collect();
            may_change(Some(&token), format!("{peer}:1").parse().unwrap(), &headers(&pairs))
        };
        assert_eq!(ask("10.1.0.5", Some("Bearer 0123456789abcdef")), Ok(()));
        for wrong in [None, Some("Bearer 0123456789abcdeg"), Some("0123456789abcdef"), Some("Basic 0123456789abcdef")] {
            assert_eq!(ask("127.0.0.1", wrong), Err(Refusal::Token));
        }
    }

    #[test]
    fn a_short_token_is_refused_and_no_token_is_printed() {
        assert!(matches!(Token::new("short"), Err(TokenError::Short { found: 5 })));
        assert!(!format!("{:?}", Token::new(SECRET).unwrap()).contains("012"));
    }
}
