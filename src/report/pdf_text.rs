//! How wide text is in the standard fonts of PDF, in ems: advance widths of the Adobe core 14 metrics.

/// Of space to tilde.
const HELVETICA: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
];

const HELVETICA_BOLD: [u16; 95] = [
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 333, 333, 584, 584, 584, 611, 975, 722, 722, 722, 722, 667, 611, 778, 722, 278, 556, 722, 611, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584, 556, 333, 556, 611, 556, 611,
    556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611, 611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389,
    280, 389, 584,
];

/// Letters with accents and signs of Latin-1: none but a few is wider.
const OTHERS: u16 = 778;
/// The plus-minus sign and the middle dot, which our own sentences use.
const PLUS_MINUS: u16 = 584;
const MIDDLE_DOT: u16 = 278;

/// The width of a line, in ems.
pub(super) fn width(words: &str, bold: bool) -> f32 {
    let table = if bold { &HELVETICA_BOLD } else { &HELVETICA };
    let of = |letter: char| match letter {
        '\u{b1}' => PLUS_MINUS,
        '\u{b7}' => MIDDLE_DOT,
        _ => {
            let index = usize::try_from(u32::from(letter)).ok().and_then(|code| code.checked_sub(32));
            index.and_then(|index| table.get(index)).copied().unwrap_or(OTHERS)
        }
    };
    words.chars().map(|letter| f32::from(of(letter)) / 1000.0).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_the_core_fonts() {
        // Digits are one width in both; capitals and bold are wider.
        assert!((width("0123456789", false) - 5.56).abs() < 1e-5);
        assert!((width("0123456789", true) - 5.56).abs() < 1e-5);
        assert!((width("AVi", false) - 1.556).abs() < 1e-5);
        assert!(width("radiomics", true) > width("radiomics", false));
        assert!((width("\u{b1}", false) - 0.584).abs() < 1e-5);
    }
}
