//! Writing XML, as much as audit messages need of it.

use std::fmt::Write as _;

/// An element that is being written.
#[derive(Debug)]
pub(super) struct Element<'a> {
    out: &'a mut String,
    name: &'static str,
    /// Whether `>` was written.
    has_content: bool,
}

impl<'a> Element<'a> {
    pub(super) fn new(out: &'a mut String, name: &'static str) -> Self {
        out.push('<');
        out.push_str(name);
        Self { out, name, has_content: false }
    }

    /// An attribute; only before any content.
    pub(super) fn attribute(self, name: &str, value: &str) -> Self {
        if !self.has_content {
            // Writing to a string does not fail.
            let _ = write!(self.out, " {name}=\"{}\"", Escaped(value));
        }
        self
    }

    /// An attribute that is left out where there is no value.
    pub(super) fn attribute_if(self, name: &str, value: &str) -> Self {
        if value.is_empty() { self } else { self.attribute(name, value) }
    }

    /// A child, written by the function.
    pub(super) fn child(mut self, name: &'static str, write: impl FnOnce(Element<'_>) -> Element<'_>) -> Self {
        self.open();
        write(Element::new(self.out, name)).end();
        self
    }

    pub(super) fn children<T>(
        self,
        name: &'static str,
        items: impl IntoIterator<Item = T>,
        write: impl Fn(Element<'_>, T) -> Element<'_>,
    ) -> Self {
        items.into_iter().fold(self, |element, item| element.child(name, |child| write(child, item)))
    }

    pub(super) fn text(mut self, text: &str) -> Self {
        self.open();
        let _ = write!(self.out, "{}", Escaped(text));
        self
    }

    fn open(&mut self) {
        if !self.has_content {
            self.out.push('>');
            self.has_content = true;
        }
    }

    pub(super) fn end(self) {
        if self.has_content {
            let _ = write!(self.out, "</{}>", self.name);
        } else {
            self.out.push_str("/>");
        }
    }
}

/// Text that can be no markup. What XML 1.0 cannot carry at all (control characters) becomes U+FFFD; line ends too, so
/// that one message stays one line.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\u{0}'..='\u{1F}' | '\u{7F}' | '\u{FFFE}' | '\u{FFFF}' => f.write_str("\u{FFFD}")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// Base64 (RFC 4648 4), for what may hold anything.
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|idx| u32::from(chunk.get(idx).copied().unwrap_or(0)));
        let bits = (a << 16) | (b << 8) | c;
        for n in 0..4 {
            let digit = DIGITS.get(((bits >> (18 - 6 * n)) & 63) as usize).copied().unwrap_or(b'=');
            text.push(if n <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_peer_sends_becomes_markup_or_another_line() {
        let mut out = String::new();
        Element::new(&mut out, "a").attribute("b", "\"<&>\n\u{0}").child("c", |c| c.text("</a>\r")).end();
        assert_eq!(out, "<a b=\"&quot;&lt;&amp;&gt;\u{FFFD}\u{FFFD}\"><c>&lt;/a&gt;\u{FFFD}</c></a>");
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (plain, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
