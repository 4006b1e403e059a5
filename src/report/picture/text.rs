//! Letters, lines and areas on a picture.
//!
//! Letters are Noto Sans Mono, drawn beforehand in shades of grey: the same pixels on every machine. Of what the fonts do not
//! have (Latin-1 and nothing else) a question mark is left.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, RasterizedChar, get_raster, get_raster_width};

use crate::report::png::Rgb;

/// A colour.
pub(in crate::report) type Colour = [u8; 3];

/// How letters look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    size: RasterHeight,
    weight: FontWeight,
    colour: Colour,
    /// 0 (not seen) to 255 (covers what is below).
    opacity: u8,
}

impl Style {
    /// What is read.
    pub const fn plain(colour: Colour) -> Self {
        Self { size: RasterHeight::Size16, weight: FontWeight::Regular, colour, opacity: 255 }
    }

    /// What stands out.
    pub const fn bold(colour: Colour) -> Self {
        Self { weight: FontWeight::Bold, ..Self::plain(colour) }
    }

    /// What is read first.
    pub const fn heading(colour: Colour) -> Self {
        Self { size: RasterHeight::Size24, ..Self::bold(colour) }
    }

    /// What lies over an image and lets it through.
    pub const fn watermark(self) -> Self {
        Self { opacity: 140, ..self }
    }

    /// Pixels of one letter.
    pub const fn letter(self) -> usize {
        get_raster_width(self.weight, self.size)
    }

    /// Pixels from line to line.
    pub const fn line(self) -> usize {
        self.size.val()
    }
}

/// Writes one line from its upper left corner.
pub(super) fn write(picture: &mut Rgb, left: usize, top: usize, text: &str, style: Style) {
    for (n, letter) in text.chars().enumerate() {
        let glyph = get_raster(letter, style.weight, style.size).or_else(|| get_raster('?', style.weight, style.size));
        if let Some(glyph) = glyph {
            stamp(picture, left + n * style.letter(), top, &glyph, style);
        }
    }
}

/// Writes one line so that it ends at `right`.
pub(super) fn write_to(picture: &mut Rgb, right: usize, top: usize, text: &str, style: Style) {
    let width = text.chars().count() * style.letter();
    write(picture, right.saturating_sub(width), top, text, style);
}

/// Writes one line around a middle.
pub(super) fn write_about(picture: &mut Rgb, middle: usize, top: usize, text: &str, style: Style) {
    let width = text.chars().count() * style.letter();
    write(picture, middle.saturating_sub(width / 2), top, text, style);
}

fn stamp(picture: &mut Rgb, left: usize, top: usize, glyph: &RasterizedChar, style: Style) {
    for (y, row) in glyph.rows().enumerate() {
        for (x, cover) in row.iter().enumerate() {
            let share = u16::from(*cover) * u16::from(style.opacity) / 255;
            blend(picture, left + x, top + y, style.colour, share);
        }
    }
}

/// Mixes a colour into a pixel, by a share of 255; beyond the edge nothing is there.
pub(super) fn blend(picture: &mut Rgb, x: usize, y: usize, colour: Colour, share: u16) {
    if x >= picture.width || y >= picture.height {
        return;
    }
    let pixel = &mut picture.pixels[y * picture.width + x];
    for (channel, new) in pixel.iter_mut().zip(colour) {
        let mixed = (u16::from(*channel) * (255 - share) + u16::from(new) * share + 127) / 255;
        *channel = u8::try_from(mixed).unwrap_or(u8::MAX);
    }
}

/// Covers an area.
pub(super) fn fill(picture: &mut Rgb, [left, top]: [usize; 2], [width, height]: [usize; 2], colour: Colour) {
    for y in top..top + height {
        for x in left..left + width {
            blend(picture, x, y, colour, 255);
        }
    }
}

/// A text in lines of at most so many characters, broken at spaces where there are any.
pub(in crate::report) fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut word: &str = word;
        let length = |text: &str| text.chars().count();
        if !line.is_empty() && length(&line) + 1 + length(word) > most {
            lines.push(std::mem::take(&mut line));
        }
        // A word that is longer than a line is cut.
        while length(word) > most {
            let (cut, _) = word.char_indices().nth(most).unwrap_or((word.len(), ' '));
            lines.push(word[..cut].to_owned());
            word = &word[cut..];
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_leaves_ink_and_one_beyond_the_edge_does_not() {
        let mut picture = Rgb::filled(40, 20, [0; 3]);
        write(&mut picture, 2, 2, "Ä", Style::plain([255; 3]));
        let ink = |picture: &Rgb| picture.pixels.iter().filter(|pixel| pixel[0] > 128).count();
        assert!((10..120).contains(&ink(&picture)));
        let before = picture.clone();
        write(&mut picture, 100, 2, "A", Style::plain([255; 3]));
        write(&mut picture, 2, 100, "A", Style::plain([255; 3]));
        assert_eq!(picture, before);
        write(&mut picture, 20, 2, "山", Style::plain([255; 3]));
        let mut asked = before;
        write(&mut asked, 20, 2, "?", Style::plain([255; 3]));
        assert_eq!(picture, asked);
    }

    #[test]
    fn lines_are_broken_at_spaces_and_long_words_are_cut() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a bcdefghij", 4), ["a", "bcde", "fghi", "j"]);
        assert_eq!(wrapped("  ", 4), Vec::<String>::new());
        assert_eq!(wrapped("abcd", 4), ["abcd"]);
    }
}
