//! The summary as a PDF (ISO 32000-1) of one to three A4 pages: what was done, the picture of a lesion, the numbers, the
//! warnings, what models said and from which model cards.
//!
//! Text is in the standard fonts Helvetica and Courier in WinAnsi, which every reader has; nothing in the file depends on the
//! clock or the machine, so the same result gives the same bytes.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::{Content, Filter, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr};

use super::png::Rgb;
use super::{pdf_text::width, picture};
use crate::dicom::product;
use crate::report::evaluate::RESEARCH_USE;

/// A4 in points.
const PAGE: [f32; 2] = [595.0, 842.0];
const MARGIN: f32 = 48.0;
/// Where text ends: below stand the mark of research use and the number of the page.
const BOTTOM: f32 = 60.0;
/// No document is longer: what has no place is counted, and the report has it.
const PAGES_MAX: usize = 3;

/// How text looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Style {
    bold: bool,
    size: f32,
    colour: [f32; 3],
}

/// What is read.
pub(super) const PLAIN: Style = Style { bold: false, size: 9.0, colour: [0.1, 0.1, 0.1] };
/// What says what a row or a column is.
const STRONG: Style = Style { bold: true, ..PLAIN };
/// What begins a section.
const SECTION: Style = Style { bold: true, size: 11.5, colour: [0.1, 0.2, 0.4] };
/// What the page is about.
const TITLE: Style = Style { bold: true, size: 16.0, colour: [0.1, 0.1, 0.1] };
const RED: [f32; 3] = [0.8, 0.1, 0.1];

/// A document that grows from top to bottom.
pub(super) struct Writer {
    pages: Vec<Content>,
    images: Vec<Rgb>,
    /// Of each page, the images on it.
    placed: Vec<Vec<usize>>,
    top: f32,
    is_full: bool,
}

impl Writer {
    pub(super) fn new(title: &str) -> Self {
        let mut writer = Self { pages: Vec::new(), images: Vec::new(), placed: Vec::new(), top: 0.0, is_full: false };
        writer.begin_page();
        writer.text(MARGIN, title, TITLE);
        writer.top -= 6.0;
        writer.sentence(RESEARCH_USE, Style { colour: RED, ..STRONG });
        writer
    }

    fn begin_page(&mut self) {
        let mut page = Content::new();
        watermark(&mut page);
        self.pages.push(page);
        self.placed.push(Vec::new());
        self.top = PAGE[1] - MARGIN;
    }

    /// Whether so many points are left, on this page or on a new one.
    fn make_room(&mut self, points: f32) -> bool {
        if self.top - points < BOTTOM && !self.is_full {
            if self.pages.len() == PAGES_MAX {
                self.is_full = true;
            } else {
                self.begin_page();
            }
        }
        !self.is_full
    }

    /// One line at the present height; the next one lies below.
    fn text(&mut self, left: f32, words: &str, style: Style) {
        self.top -= style.size * 1.3;
        let top = self.top;
        if let Some(page) = self.pages.last_mut() {
            write(page, [left, top], words, style);
        }
    }

    /// Begins a section. It stays with what follows.
    pub(super) fn section(&mut self, heading: &str) {
        if self.make_room(60.0) {
            self.top -= 8.0;
            self.text(MARGIN, heading, SECTION);
            self.top -= 2.0;
        }
    }

    /// A sentence in as many lines as it needs. `false` where it has no place any more.
    pub(super) fn sentence(&mut self, words: &str, style: Style) -> bool {
        const HANGING: f32 = 10.0;
        let lines = broken(words, PAGE[0] - 2.0 * MARGIN - HANGING, style);
        #[allow(clippy::cast_precision_loss, reason = "a few lines")]
        if !self.make_room(lines.len() as f32 * style.size * 1.3) {
            return false;
        }
        for (n, line) in lines.iter().enumerate() {
            self.text(MARGIN + if n == 0 { 0.0 } else { HANGING }, line, style);
        }
        self.top -= 1.5;
        true
    }

    /// Sentences under a heading; those without a place are counted.
    pub(super) fn sentences(&mut self, heading: &str, sentences: &[String]) {
        if sentences.is_empty() {
            return;
        }
        self.section(heading);
        for sentence in sentences {
            if !self.sentence(sentence, PLAIN) {
                return;
            }
        }
    }

    /// A table with names on the left and right-aligned values.
    pub(super) fn table(&mut self, heading: &str, columns: &[String], rows: &[(&'static str, Vec<String>)]) {
        const NAMES: f32 = 170.0;
        if columns.is_empty() {
            return;
        }
        self.section(heading);
        #[allow(clippy::cast_precision_loss, reason = "a few columns")]
        let share = (PAGE[0] - 2.0 * MARGIN - NAMES) / columns.len() as f32;
        let head = columns.iter().map(|name| (name.as_str(), STRONG)).collect::<Vec<_>>();
        self.row("", &head, [NAMES, share]);
        for (name, values) in rows {
            let values: Vec<_> = values.iter().map(|value| (value.as_str(), PLAIN)).collect();
            self.row(name, &values, [NAMES, share]);
        }
    }

    fn row(&mut self, name: &str, values: &[(&str, Style)], [names, share]: [f32; 2]) {
        if !self.make_room(PLAIN.size * 1.4) {
            return;
        }
        self.text(MARGIN, name, PLAIN);
        let (top, mut right) = (self.top, MARGIN + names);
        let Some(page) = self.pages.last_mut() else { return };
        for (value, style) in values {
            right += share;
            // A value that is wider than its column is written smaller, not over its neighbour.
            let natural = width(value, style.bold) * style.size;
            let size = style.size * ((share - 6.0) / natural.max(1.0)).min(1.0);
            let style = Style { size, ..*style };
            write(page, [right - width(value, style.bold) * style.size, top], value, style);
        }
    }

    /// A picture as wide as the page allows, at most so many points high.
    pub(super) fn picture(&mut self, picture: Rgb, height_max: f32) {
        #[allow(clippy::cast_precision_loss, reason = "pixels of a page")]
        let [width, height] = [picture.width as f32, picture.height as f32];
        let scale = ((PAGE[0] - 2.0 * MARGIN) / width).min(height_max / height);
        if !self.make_room(height * scale + 6.0) {
            return;
        }
        self.top -= height * scale + 6.0;
        let left = (PAGE[0] - width * scale) / 2.0;
        let name = image_name(self.images.len());
        if let (Some(page), Some(placed)) = (self.pages.last_mut(), self.placed.last_mut()) {
            page.save_state();
            page.transform([width * scale, 0.0, 0.0, height * scale, left, self.top]);
            page.x_object(Name(name.as_bytes()));
            page.restore_state();
            placed.push(self.images.len());
        }
        self.images.push(picture);
        self.top -= 4.0;
    }

    /// Points that are left on this page.
    pub(super) fn left(&self) -> f32 {
        self.top - BOTTOM
    }

    /// The file.
    pub(super) fn finish(mut self, title: &str) -> std::io::Result<Vec<u8>> {
        let n_pages = self.pages.len();
        for (n, page) in self.pages.iter_mut().enumerate() {
            let foot = format!("{} {} \u{b7} page {} of {n_pages}", product::MODEL, product::VERSION, n + 1);
            let style = Style { size: 8.0, ..PLAIN };
            write(page, [MARGIN, 36.0], RESEARCH_USE, Style { colour: RED, ..style });
            write(page, [PAGE[0] - MARGIN - width(&foot, false) * style.size, 36.0], &foot, style);
            if n + 1 == n_pages && self.is_full {
                write(
                    page,
                    [MARGIN, 48.0],
                    "Not everything has a place here: the report holds all.",
                    Style { colour: RED, ..STRONG },
                );
            }
        }
        assemble(title, self.pages, &self.images, &self.placed)
    }
}

fn image_name(index: usize) -> String {
    format!("Im{index}")
}

/// Large letters across the page, below everything else.
fn watermark(page: &mut Content) {
    const SIZE: f32 = 52.0;
    let (sin, cos) = 0.95f32.sin_cos();
    let long = width(picture::WATERMARK, true) * SIZE;
    let [x, y] = [(PAGE[0] - cos * long) / 2.0, (PAGE[1] - sin * long) / 2.0];
    page.save_state();
    page.set_fill_rgb(0.95, 0.9, 0.9);
    page.begin_text().set_font(Name(b"B"), SIZE).set_text_matrix([cos, sin, -sin, cos, x, y]);
    page.show(Str(picture::WATERMARK.as_bytes())).end_text();
    page.restore_state();
}

fn write(page: &mut Content, [left, bottom]: [f32; 2], words: &str, style: Style) {
    let [red, green, blue] = style.colour;
    page.set_fill_rgb(red, green, blue);
    let font = if style.bold { Name(b"B") } else { Name(b"R") };
    page.begin_text().set_font(font, style.size).next_line(left, bottom);
    page.show(Str(&win_ansi(words))).end_text();
}

/// Latin-1 without its control characters is WinAnsi; of anything else a question mark is left.
fn win_ansi(words: &str) -> Vec<u8> {
    let byte = |letter: char| u8::try_from(u32::from(letter)).ok().filter(|byte| matches!(byte, 32..=126 | 160..));
    words.chars().map(|letter| byte(letter).unwrap_or(b'?')).collect()
}

/// Lines that are no wider than so many points.
fn broken(words: &str, points: f32, style: Style) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        // Long words are cut into pieces that fit whatever their letters.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "letters of a line")]
        let most = (points / style.size) as usize;
        for piece in picture::text::wrapped(word, most.max(1)) {
            let longer = lines.last().map(|line| format!("{line} {piece}"));
            match (longer, lines.last_mut()) {
                (Some(longer), Some(line)) if width(&longer, style.bold) * style.size <= points => *line = longer,
                _ => lines.push(piece),
            }
        }
    }
    lines
}

fn assemble(title: &str, pages: Vec<Content>, images: &[Rgb], placed: &[Vec<usize>]) -> std::io::Result<Vec<u8>> {
    const FIRST: i32 = 6;
    let [catalog, tree, info, regular, bold] = [1, 2, 3, 4, 5].map(Ref::new);
    let number = |index: usize| i32::try_from(index).map_err(std::io::Error::other);
    let (n_pages, n_images) = (number(pages.len())?, number(images.len())?);
    let image_ref = |index: usize| number(index).map(|index| Ref::new(FIRST + index));
    let page_ref = |index: i32| Ref::new(FIRST + n_images + 2 * index);
    let content_ref = |index: i32| Ref::new(FIRST + n_images + 2 * index + 1);
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(tree);
    pdf.pages(tree).kids((0..n_pages).map(page_ref)).count(n_pages);
    let producer = format!("{} {}", product::MODEL, product::VERSION);
    pdf.document_info(info).title(TextStr(title)).producer(TextStr(&producer)).subject(TextStr(RESEARCH_USE));
    for (font, name) in [(regular, &b"Helvetica"[..]), (bold, b"Helvetica-Bold")] {
        pdf.type1_font(font).base_font(Name(name)).encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    for (index, picture) in images.iter().enumerate() {
        let data = deflated(picture.pixels.as_flattened())?;
        let mut image = pdf.image_xobject(image_ref(index)?, &data);
        image.filter(Filter::FlateDecode);
        image.width(number(picture.width)?).height(number(picture.height)?);
        image.color_space().device_rgb();
        image.bits_per_component(8);
    }
    for ((content, placed), index) in pages.into_iter().zip(placed).zip(0..) {
        let mut page = pdf.page(page_ref(index));
        page.parent(tree).media_box(Rect::new(0.0, 0.0, PAGE[0], PAGE[1])).contents(content_ref(index));
        let mut resources = page.resources();
        resources.fonts().pair(Name(b"R"), regular).pair(Name(b"B"), bold);
        if !placed.is_empty() {
            let mut objects = resources.x_objects();
            for image in placed {
                objects.pair(Name(image_name(*image).as_bytes()), image_ref(*image)?);
            }
        }
        resources.finish();
        page.finish();
        let data = deflated(content.finish().as_slice())?;
        pdf.stream(content_ref(index), &data).filter(Filter::FlateDecode);
    }
    Ok(pdf.finish())
}

fn deflated(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}
