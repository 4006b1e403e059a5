//! A picture of a fit: what the batches do before and after, for a person to look at. Text in SVG, no library.

use std::fmt::Write as _;

use super::data::{Batches, Features};
use super::explained::Explained;
use crate::math::pca::{TwoComponents, two_components};
use crate::math::stats::quantile;

/// Features that are shown as boxes: those that the batch explained most before.
const N_FEATURES: usize = 6;
const PANELS_PER_ROW: usize = 3;
/// Batches that have a box and an entry in the legend; all have points.
const N_BATCHES: usize = 12;
/// Points that a scatter shows, at most: more cannot be told apart.
const N_POINTS: usize = 3000;
const WIDTH: f64 = 1140.0;
const MARGIN: f64 = 24.0;
const COLOURS: [&str; N_BATCHES] = [
    "#3b6fb6", "#d9792b", "#3f9b5f", "#b8433f", "#7d5fb2", "#8a6a4f", "#cc6fa9", "#6f7378", "#a3a32c", "#35a3b5",
    "#1f3f6e", "#7a3d10",
];

/// Draws the first two principal components of all rows by batch, and the most affected features as boxes by batch, each
/// before and after.
#[must_use]
pub fn picture(title: &str, before: &Features, after: &Features, batches: &Batches, explained: &Explained) -> String {
    let labels = labels(batches);
    let chosen: Vec<&str> = explained.features.iter().take(N_FEATURES).map(|feature| feature.name.as_str()).collect();
    let n_panel_rows = chosen.len().div_ceil(PANELS_PER_ROW);
    let legend_height = 24.0 * (labels.len().min(N_BATCHES + 1).div_ceil(4).max(1)) as f64;
    let (scatter_top, scatter_height) = (100.0 + legend_height, 340.0);
    let panels_top = scatter_top + scatter_height + 72.0;
    let panel_height = 190.0;
    #[allow(clippy::cast_precision_loss)]
    let height = panels_top + n_panel_rows as f64 * (panel_height + 64.0) + MARGIN;
    let mut svg = String::new();
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\"><title>{0}</title>\n<style>text{{font-family:system-ui,\"Segoe UI\",Roboto,\"DejaVu Sans\",sans-serif;\
         font-size:13px;fill:#1f2328}} .t{{font-size:18px;font-weight:600}} .h{{font-weight:600}} \
         .a{{font-size:11px;fill:#57606a}}</style>\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text class=\"t\" x=\"{MARGIN}\" y=\"34\">{0}</text>\n",
        escaped(title)
    );
    let _ = writeln!(
        svg,
        "<text class=\"a\" x=\"{MARGIN}\" y=\"54\">Variance between batches, median over {} features: {:.1} % before, \
         {:.1} % after</text>",
        explained.features.len(),
        100.0 * explained.before[1],
        100.0 * explained.after[1]
    );
    legend(&mut svg, &labels, 76.0);
    let batch_of: Vec<Option<usize>> =
        batches.labels.iter().map(|label| labels.iter().position(|known| known == label)).collect();
    let half = (WIDTH - 3.0 * MARGIN) / 2.0;
    for (idx, (name, features)) in [("before", before), ("after", after)].into_iter().enumerate() {
        #[allow(clippy::cast_precision_loss)]
        let frame =
            Frame { x: MARGIN + idx as f64 * (half + MARGIN), y: scatter_top, width: half, height: scatter_height };
        scatter(&mut svg, frame, name, features, &batch_of, explained);
    }
    let third = (WIDTH - MARGIN * (PANELS_PER_ROW as f64 + 1.0)) / PANELS_PER_ROW as f64;
    for (idx, name) in chosen.iter().enumerate() {
        #[allow(clippy::cast_precision_loss)]
        let (column, row) = ((idx % PANELS_PER_ROW) as f64, (idx / PANELS_PER_ROW) as f64);
        let (x, y) = (MARGIN + column * (third + MARGIN), panels_top + row * (panel_height + 64.0));
        let frame = Frame { x, y, width: third, height: panel_height };
        boxes(&mut svg, frame, name, [before, after], &batch_of, labels.len().min(N_BATCHES));
    }
    svg.push_str("</svg>\n");
    svg
}

/// A rectangle to draw in.
#[derive(Debug, Clone, Copy)]
struct Frame {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

impl Frame {
    fn draw(self, svg: &mut String) {
        let Self { x, y, width, height } = self;
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"none\" stroke=\"#d0d7de\"/>"
        );
    }
}

/// The batches' labels, sorted.
fn labels(batches: &Batches) -> Vec<String> {
    let mut labels: Vec<String> = batches.labels.iter().filter(|label| !label.is_empty()).cloned().collect();
    labels.sort();
    labels.dedup();
    labels
}

fn colour(batch: Option<usize>) -> &'static str {
    batch.and_then(|batch| COLOURS.get(batch)).copied().unwrap_or("#c4c9cf")
}

#[allow(clippy::cast_precision_loss)]
fn legend(svg: &mut String, labels: &[String], top: f64) {
    const LONGEST: usize = 34;
    let column_width = (WIDTH - 2.0 * MARGIN) / 4.0;
    let more = labels.len().saturating_sub(N_BATCHES);
    let named = labels.iter().take(N_BATCHES).map(|label| shortened(label, LONGEST));
    let rest = (more > 0).then(|| format!("{more} more"));
    for (idx, label) in named.chain(rest).enumerate() {
        let (x, y) = (MARGIN + (idx % 4) as f64 * column_width, top + 24.0 * (idx / 4) as f64);
        let _ = writeln!(
            svg,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"5\" fill=\"{}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            x + 6.0,
            y,
            colour(Some(idx)),
            x + 17.0,
            y + 4.5,
            escaped(&label)
        );
    }
}

#[allow(clippy::cast_precision_loss)]
fn scatter(
    svg: &mut String,
    frame: Frame,
    when: &str,
    features: &Features,
    batch_of: &[Option<usize>],
    explained: &Explained,
) {
    let harmonised = |name: &String| explained.features.iter().any(|feature| feature.name == *name);
    let names = features.names().iter().enumerate().filter(|(_, name)| harmonised(name));
    let columns: Vec<&[f64]> = names.map(|(idx, _)| features.column(idx)).collect();
    let TwoComponents { scores, explained } = two_components(&columns);
    frame.draw(svg);
    let _ = writeln!(
        svg,
        "<text class=\"h\" x=\"{:.1}\" y=\"{:.1}\">Principal components {when}</text>\
         <text class=\"a\" x=\"{:.1}\" y=\"{:.1}\">first ({:.0} %) across, second ({:.0} %) up</text>",
        frame.x,
        frame.y - 8.0,
        frame.x,
        frame.y + frame.height + 18.0,
        100.0 * explained[0],
        100.0 * explained[1]
    );
    let range = |axis: usize| {
        let mut values: Vec<f64> = scores.iter().map(|score| score[axis]).collect();
        values.sort_by(f64::total_cmp);
        // What lies far outside is drawn at the edge.
        padded(quantile(&values, 0.005), quantile(&values, 0.995), 0.08)
    };
    let (across, up) = (range(0), range(1));
    let step = scores.len().div_ceil(N_POINTS).max(1);
    for (score, batch) in scores.iter().zip(batch_of).step_by(step) {
        let x = frame.x + frame.width * part(score[0], across);
        let y = frame.y + frame.height * (1.0 - part(score[1], up));
        let _ = writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.2\" fill=\"{}\" fill-opacity=\"0.75\"/>",
            colour(*batch)
        );
    }
}

fn padded(low: f64, high: f64, by: f64) -> (f64, f64) {
    let room = if high > low { (high - low) * by } else { 1.0 };
    (low - room, high + room)
}

fn part(value: f64, (low, high): (f64, f64)) -> f64 {
    ((value - low) / (high - low)).clamp(0.0, 1.0)
}

/// One box per batch, before in the left half and after in the right, on one scale.
#[allow(clippy::cast_precision_loss)]
fn boxes(
    svg: &mut String,
    frame: Frame,
    name: &str,
    tables: [&Features; 2],
    batch_of: &[Option<usize>],
    n_batches: usize,
) {
    const LONGEST: usize = 46;
    let groups: Vec<Vec<Vec<f64>>> = tables.iter().map(|table| by_batch(table, name, batch_of, n_batches)).collect();
    let mut all: Vec<f64> = groups.iter().flatten().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    let range = padded(quantile(&all, 0.01), quantile(&all, 0.99), 0.06);
    frame.draw(svg);
    let half = frame.width / 2.0;
    let (x, y, middle, right) = (frame.x, frame.y, frame.x + half, frame.x + frame.width);
    let (bottom, heading, foot) = (y + frame.height, y - 8.0, y + frame.height + 16.0);
    let (name, low, high) = (escaped(&shortened(name, LONGEST)), short_number(range.0), short_number(range.1));
    let _ = writeln!(
        svg,
        "<text class=\"h\" x=\"{x:.1}\" y=\"{heading:.1}\">{name}</text>\
         <line x1=\"{middle:.1}\" y1=\"{y:.1}\" x2=\"{middle:.1}\" y2=\"{bottom:.1}\" stroke=\"#d0d7de\"/>\
         <text class=\"a\" x=\"{x:.1}\" y=\"{foot:.1}\">before</text>\
         <text class=\"a\" x=\"{middle:.1}\" y=\"{foot:.1}\" dx=\"4\">after</text>\
         <text class=\"a\" x=\"{right:.1}\" y=\"{foot:.1}\" text-anchor=\"end\">{low} to {high}</text>"
    );
    let slot = (half - 12.0) / n_batches.max(1) as f64;
    for (side, groups) in groups.iter().enumerate() {
        for (batch, values) in groups.iter().enumerate() {
            let x = frame.x + side as f64 * half + 6.0 + (batch as f64 + 0.5) * slot;
            draw_box(svg, frame, x, 0.32 * slot.min(60.0), values, range, colour(Some(batch)));
        }
    }
}

fn by_batch(table: &Features, name: &str, batch_of: &[Option<usize>], n_batches: usize) -> Vec<Vec<f64>> {
    let mut groups = vec![Vec::new(); n_batches];
    if let Some(place) = table.names().iter().position(|known| known == name) {
        for (value, batch) in table.column(place).iter().zip(batch_of) {
            if let Some(group) = batch.and_then(|batch| groups.get_mut(batch)).filter(|_| value.is_finite()) {
                group.push(*value);
            }
        }
    }
    groups.iter_mut().for_each(|group| group.sort_by(f64::total_cmp));
    groups
}

/// Quartiles as a box, the median as a line in it, whiskers from the 5th to the 95th percentile.
fn draw_box(svg: &mut String, frame: Frame, x: f64, half_width: f64, sorted: &[f64], range: (f64, f64), colour: &str) {
    if sorted.is_empty() {
        return;
    }
    let y = |level: f64| frame.y + frame.height * (1.0 - part(quantile(sorted, level), range));
    let (top, upper, middle, lower, bottom) = (y(0.95), y(0.75), y(0.5), y(0.25), y(0.05));
    let (left, width) = (x - half_width, 2.0 * half_width);
    let _ = writeln!(
        svg,
        "<line x1=\"{x:.1}\" y1=\"{top:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" stroke=\"{colour}\"/>\
         <rect x=\"{left:.1}\" y=\"{upper:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{colour}\" \
         fill-opacity=\"0.35\" stroke=\"{colour}\"/>\
         <line x1=\"{left:.1}\" y1=\"{middle:.1}\" x2=\"{:.1}\" y2=\"{middle:.1}\" stroke=\"{colour}\" stroke-width=\"2.5\"/>",
        (lower - upper).max(0.5),
        left + width
    );
}

fn short_number(value: f64) -> String {
    if value != 0.0 && (value.abs() >= 1e5 || value.abs() < 1e-2) {
        format!("{value:.1e}")
    } else {
        format!("{value:.4}")
    }
    .trim_end_matches('0')
    .trim_end_matches('.')
    .to_owned()
}

fn shortened(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    text.chars().take(longest - 1).chain(std::iter::once('…')).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Effects, cohort};
    use super::super::{FitSettings, explained, fit};
    use super::*;

    #[test]
    fn the_picture_is_well_formed_and_names_batches_and_features() {
        let effects = Effects { shifts: vec![0.0, 2.0, 4.0], ..Effects::default() };
        let mut cohort = cohort(&[30, 30, 30], 8, &effects, 4);
        cohort.batches.labels.iter_mut().for_each(|label| *label = format!("<{label}> & co"));
        let model = fit(&cohort.samples(), &FitSettings::default()).unwrap();
        let applied = model.apply(&cohort.samples()).unwrap();
        let explained = explained(&model, &cohort.samples(), &applied.features).unwrap();
        let svg = picture("CT", &cohort.features, &applied.features, &cohort.batches, &explained);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("&lt;A&gt; &amp; co") && !svg.contains("<A>") && !svg.contains("NaN"));
        // Two points for every row, one entry of the legend for every batch.
        assert_eq!(svg.matches("<circle").count(), 2 * 90 + 3);
        assert_eq!(svg.matches("fill-opacity=\"0.35\"").count(), 6 * 3 * 2);
    }
}
