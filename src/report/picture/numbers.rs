//! The page of numbers of one lesion: its table, what models said, the findings of the case.

use super::sheet::{FAINT, FOOT, GROUND, HEAD, RED, TEXT, WIDTH, frame};
use super::text::{self, Style};
use crate::report::png::Rgb;
use crate::report::{CaseResult, Lesion, summary};

/// Pixels of the page from top to bottom.
const HEIGHT: usize = 1000;
/// Pixels of the column that names the rows, and of each column of values.
const NAMES: usize = 290;
const LINE: usize = 20;

/// The page.
pub(super) fn page(case: &CaseResult, lesion: &Lesion) -> Rgb {
    let mut page = Page { picture: Rgb::filled(WIDTH, HEIGHT, GROUND), top: HEAD };
    frame(&mut page.picture, case, &summary::title(lesion), "What was measured, in short: the report has every value");
    table(&mut page, &summary::table(case, lesion));
    page.section("Predictions", summary::predictions(case, lesion.number));
    page.section("Findings", summary::warnings(case));
    page.picture
}

struct Page {
    picture: Rgb,
    top: usize,
}

impl Page {
    fn fits(&self, lines: usize) -> bool {
        self.top + lines * LINE + FOOT <= HEIGHT
    }

    fn line(&mut self, left: usize, words: &str, style: Style) {
        text::write(&mut self.picture, left, self.top, words, style);
        self.top += LINE;
    }

    /// Sentences under a heading; what has no place is counted.
    fn section(&mut self, heading: &str, sentences: Vec<String>) {
        const INDENT: usize = 24;
        if sentences.is_empty() || !self.fits(3) {
            return;
        }
        self.top += LINE / 2;
        self.line(12, heading, Style::bold(TEXT));
        let most = (WIDTH - INDENT - 12) / Style::plain(TEXT).letter();
        let n_sentences = sentences.len();
        for (n, sentence) in sentences.into_iter().enumerate() {
            let lines = text::wrapped(&sentence, most);
            // One line is kept for what is left over.
            if !self.fits(lines.len() + 1) {
                self.line(INDENT, &format!("and {} more: see the report", n_sentences - n), Style::bold(RED));
                return;
            }
            for line in lines {
                self.line(INDENT, &line, Style::plain(TEXT));
            }
        }
    }
}

fn table(page: &mut Page, table: &summary::Table) {
    let Some(share) = (WIDTH - NAMES - 12).checked_div(table.columns.len()) else { return };
    let right = |column: usize| NAMES + (column + 1) * share;
    let most = share / Style::plain(TEXT).letter();
    let cut = |words: &str| words.chars().take(most.saturating_sub(1)).collect::<String>();
    for (column, name) in table.columns.iter().enumerate() {
        text::write_to(&mut page.picture, right(column), page.top, &cut(name), Style::bold(TEXT));
    }
    page.top += LINE + 4;
    for (name, values) in &table.rows {
        for (column, value) in values.iter().enumerate() {
            text::write_to(&mut page.picture, right(column), page.top, &cut(value), Style::plain(TEXT));
        }
        page.line(12, name, Style::plain(FAINT));
    }
}
