//! Text in the character sets of PS3.3 C.12.1.1.2, with code extensions (ISO 2022, PS3.5 6.1.2.4 and 6.1.2.5).
//!
//! Decoding never fails: a name that a broken writer mangled must not stop an image. What cannot be decoded becomes U+FFFD.
//! Without Specific Character Set (0008,0005), or under a term that nobody knows, bytes above 127 are read as UTF-8 where
//! they are valid UTF-8, else as ISO 8859-1: the two encodings that such writers really use.

use std::borrow::Cow;

use dicom_encoding::text::{SpecificCharacterSet, TextCodec};

/// The character sets of one data set: the default one and those that escape sequences may switch to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Charset {
    initial: Repertoire,
    /// Code extensions are in use: escape sequences switch, delimiters switch back.
    extended: bool,
}

/// One way to read bytes.
#[derive(Debug, Clone, Default, PartialEq)]
enum Repertoire {
    /// No declaration, or one that nobody knows: ASCII, and a guess above it.
    #[default]
    Undeclared,
    /// UTF-8.
    Unicode,
    /// One byte, one character.
    SingleByte(SpecificCharacterSet),
    /// ISO 8859-9: Latin 1 with six Turkish letters.
    Turkish,
    /// Two bytes may make a character; the codec knows.
    MultiByte(SpecificCharacterSet),
    /// JIS X 0208, which its codec reads only after its own escape sequence.
    Kanji(SpecificCharacterSet),
    /// Known by name, without a codec (JIS X 0212).
    Unreadable,
}

impl Charset {
    /// The character sets that Specific Character Set (0008,0005) names; an empty list is the default repertoire.
    #[must_use]
    pub fn from_terms(terms: &[String]) -> Self {
        let initial = terms.first().map(|term| Repertoire::of_term(term)).unwrap_or_default();
        let extended = terms.len() > 1 || terms.iter().any(|term| term.starts_with("ISO 2022"));
        Self { initial, extended }
    }

    /// Decodes one value, or several joined by backslashes.
    #[must_use]
    pub fn decode<'b>(&self, bytes: &'b [u8]) -> Cow<'b, str> {
        let plain = bytes.is_ascii() && !(self.extended && bytes.contains(&0x1B));
        match std::str::from_utf8(bytes) {
            Ok(text) if plain => Cow::Borrowed(text),
            _ if self.extended => Cow::Owned(self.decode_extended(bytes)),
            _ => self.initial.decode(bytes),
        }
    }

    /// PS3.5 6.1.2.5: text in runs, each under the repertoire that the last escape sequence designated. Control characters,
    /// and the delimiters of values and name components, end a designation (6.1.2.5.3).
    fn decode_extended(&self, bytes: &[u8]) -> String {
        let mut text = String::with_capacity(bytes.len());
        let mut designated = Designated::Initial;
        let mut run_start = 0;
        let mut at = 0;
        while at < bytes.len() {
            if let Some((length, next)) = bytes.get(at..).and_then(escape_sequence) {
                self.push_run(&mut text, bytes.get(run_start..at), &designated);
                designated = next;
                at += length;
                run_start = at;
                continue;
            }
            let two_bytes = matches!(designated, Designated::G0(_));
            let delimiter = matches!(bytes.get(at), Some(b'\\' | b'^' | b'=' | b'\t' | b'\n' | b'\r' | 0x0C));
            if delimiter && !two_bytes && designated != Designated::Initial {
                self.push_run(&mut text, bytes.get(run_start..at), &designated);
                designated = Designated::Initial;
                run_start = at;
            }
            at += 1;
        }
        self.push_run(&mut text, bytes.get(run_start..), &designated);
        text
    }

    fn push_run(&self, text: &mut String, run: Option<&[u8]>, designated: &Designated) {
        let Some(run) = run.filter(|run| !run.is_empty()) else { return };
        match designated {
            Designated::Initial => text.push_str(&self.initial.decode(run)),
            Designated::G0(repertoire) | Designated::G1(repertoire) => text.push_str(&repertoire.decode(run)),
        }
    }
}

/// What the last escape sequence said.
#[derive(Debug, Clone, PartialEq)]
enum Designated {
    /// The first value of Specific Character Set.
    Initial,
    /// A two-byte set in place of ASCII: the bytes of `\`, `^` and `=` are parts of characters.
    G0(Repertoire),
    /// A set above ASCII, or ASCII itself.
    G1(Repertoire),
}

/// The escape sequence at the start of these bytes: its length and what it designates (PS3.3 tables C.12-3 and C.12-4).
fn escape_sequence(bytes: &[u8]) -> Option<(usize, Designated)> {
    let [0x1B, rest @ ..] = bytes else { return None };
    let g1 = |term: &str| Designated::G1(Repertoire::of_term(term));
    Some(match rest {
        [b'$', b'B', ..] => (3, Designated::G0(Repertoire::of_term("ISO 2022 IR 87"))),
        [b'$', b'(', b'D', ..] => (4, Designated::G0(Repertoire::Unreadable)),
        [b'$', b')', b'C', ..] => (4, g1("ISO 2022 IR 149")),
        [b'$', b')', b'A', ..] => (4, g1("ISO 2022 IR 58")),
        [b'(', b'B', ..] => (3, g1("ISO 2022 IR 6")),
        [b'(', b'J', ..] | [b')', b'I', ..] => (3, g1("ISO 2022 IR 13")),
        [b'-', b'A', ..] => (3, g1("ISO 2022 IR 100")),
        [b'-', b'B', ..] => (3, g1("ISO 2022 IR 101")),
        [b'-', b'C', ..] => (3, g1("ISO 2022 IR 109")),
        [b'-', b'D', ..] => (3, g1("ISO 2022 IR 110")),
        [b'-', b'F', ..] => (3, g1("ISO 2022 IR 126")),
        [b'-', b'G', ..] => (3, g1("ISO 2022 IR 127")),
        [b'-', b'H', ..] => (3, g1("ISO 2022 IR 138")),
        [b'-', b'L', ..] => (3, g1("ISO 2022 IR 144")),
        [b'-', b'M', ..] => (3, g1("ISO 2022 IR 148")),
        [b'-', b'T', ..] => (3, g1("ISO 2022 IR 166")),
        _ => return None,
    })
}

impl Repertoire {
    fn of_term(term: &str) -> Self {
        let term = term.trim().to_ascii_uppercase().replace("ISO-IR", "ISO_IR").replace("ISO_2022_IR", "ISO 2022 IR");
        let known = SpecificCharacterSet::from_code(&term);
        match (term.as_str(), known) {
            ("" | "ISO_IR 6" | "ISO 2022 IR 6" | "ISO_IR_6", _) => Self::Undeclared,
            ("ISO_IR 192" | "ISO_IR_192" | "UTF8" | "UTF-8", _) => Self::Unicode,
            ("ISO_IR 148" | "ISO 2022 IR 148" | "ISO_IR_148", _) => Self::Turkish,
            ("ISO_IR 159" | "ISO 2022 IR 159", _) => Self::Unreadable,
            ("ISO_IR 87" | "ISO 2022 IR 87", Some(codec)) => Self::Kanji(codec),
            ("GB18030" | "GBK" | "GB2312" | "ISO 2022 IR 58" | "ISO 2022 IR 149" | "ISO_IR 149", Some(codec)) => {
                Self::MultiByte(codec)
            }
            (_, Some(codec)) => Self::SingleByte(codec),
            (_, None) => Self::Undeclared,
        }
    }

    fn decode<'b>(&self, bytes: &'b [u8]) -> Cow<'b, str> {
        match self {
            Self::Undeclared => match std::str::from_utf8(bytes) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
            },
            Self::Unicode => String::from_utf8_lossy(bytes),
            Self::SingleByte(codec) => Cow::Owned(bytes.iter().map(|byte| single(codec, *byte)).collect()),
            Self::Turkish => Cow::Owned(bytes.iter().map(|byte| turkish(*byte)).collect()),
            Self::MultiByte(codec) => Cow::Owned(codec.decode(bytes).unwrap_or_else(|_| "\u{FFFD}".into())),
            Self::Kanji(codec) => {
                let escaped: Vec<u8> = b"\x1B$B".iter().chain(bytes).copied().collect();
                Cow::Owned(codec.decode(&escaped).unwrap_or_else(|_| "\u{FFFD}".into()))
            }
            Self::Unreadable => Cow::Owned("\u{FFFD}".repeat(bytes.len().div_ceil(2))),
        }
    }
}

/// One byte of a single-byte set. Byte by byte, because the codecs write an undefined byte as a backslash and its octal
/// number, and a backslash separates values.
fn single(codec: &SpecificCharacterSet, byte: u8) -> char {
    if byte.is_ascii() {
        return char::from(byte);
    }
    let decoded = codec.decode(&[byte]).unwrap_or_default();
    let mut characters = decoded.chars();
    match (characters.next(), characters.next()) {
        (Some(character), None) => character,
        _ => char::REPLACEMENT_CHARACTER,
    }
}

/// ISO 8859-9 differs from ISO 8859-1 in six letters.
const fn turkish(byte: u8) -> char {
    match byte {
        0xD0 => 'Ğ',
        0xDD => 'İ',
        0xDE => 'Ş',
        0xF0 => 'ğ',
        0xFD => 'ı',
        0xFE => 'ş',
        other => other as char,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(terms: &[&str], bytes: &[u8]) -> String {
        let terms: Vec<String> = terms.iter().map(ToString::to_string).collect();
        Charset::from_terms(&terms).decode(bytes).into_owned()
    }

    // The byte strings are the standard's own examples: PS3.5 annexes H, I and J.

    #[test]
    fn single_byte_sets_and_unicode_are_read() {
        assert_eq!(decode(&["ISO_IR 100"], b"Buc^J\xE9r\xF4me"), "Buc^Jérôme");
        assert_eq!(decode(&["ISO_IR 144"], b"\xBB\xEE"), "Лю");
        assert_eq!(decode(&["ISO_IR 126"], b"\xC4\xE9\xEF\xED\xF5\xF3\xE9\xEF\xF2"), "Διονυσιος");
        assert_eq!(decode(&["ISO_IR 148"], b"\xC7avu\xFEo\xF0lu"), "Çavuşoğlu");
        assert_eq!(decode(&["ISO_IR 192"], "Wang^XiaoDong=王^小東".as_bytes()), "Wang^XiaoDong=王^小東");
        assert_eq!(decode(&["GB18030"], b"Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB"), "Wang^XiaoDong=王^小东");
    }

    #[test]
    fn japanese_names_with_code_extensions_are_read() {
        let name = b"Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B=\x1B$B$d$^$@\x1B(B^\x1B$B$?$m$&\x1B(B";
        assert_eq!(decode(&["", "ISO 2022 IR 87"], name), "Yamada^Tarou=山田^太郎=やまだ^たろう");
        let name = b"\xD4\xCF\xC0\xDE^\xC0\xDB\xB3=\x1B$B;3ED\x1B(J^\x1B$BB@O:\x1B(J";
        assert_eq!(decode(&["ISO 2022 IR 13", "ISO 2022 IR 87"], name), "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎");
    }

    #[test]
    fn korean_and_chinese_names_with_code_extensions_are_read() {
        let name = b"Hong^Gildong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7=\x1B$)C\xC8\xAB^\x1B$)C\xB1\xE6\xB5\xBF";
        assert_eq!(decode(&["", "ISO 2022 IR 149"], name), "Hong^Gildong=洪^吉洞=홍^길동");
        let name = b"Zhang^XiaoDong=\x1B$)A\xD5\xC5^\x1B$)A\xD0\xA1\xB6\xAB=";
        assert_eq!(decode(&["", "ISO 2022 IR 58"], name), "Zhang^XiaoDong=张^小东=");
    }

    #[test]
    fn undeclared_bytes_are_read_as_what_writers_use_and_never_lost_silently() {
        assert_eq!(decode(&[], "Tumör".as_bytes()), "Tumör");
        assert_eq!(decode(&[], b"Tum\xF6r"), "Tumör");
        assert_eq!(decode(&["NO SUCH TERM"], b"Tum\xF6r"), "Tumör");
        assert_eq!(decode(&["ISO_IR 192"], b"Tum\xF6r"), "Tum\u{FFFD}r");
        // An undefined byte must not become a backslash, which would make two values of one.
        assert!(!decode(&["ISO_IR 127"], b"a\xA1b").contains('\\'));
    }

    #[test]
    fn a_backslash_separates_values_only_outside_two_byte_characters() {
        // 0x5C is the second byte of a JIS X 0208 character here.
        let text = decode(&["", "ISO 2022 IR 87"], b"\x1B$B%\\\x1B(B\\two");
        assert_eq!(text.split('\\').collect::<Vec<_>>(), ["ボ", "two"]);
    }
}
