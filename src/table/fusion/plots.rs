//! Plots of a model card as SVG: text, no library.

use std::fmt::Write as _;

use super::super::error::TableError;
use crate::fuse::{Bundle, Dataset, Evaluation, Outcome, sigmoid};

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 48.0;
const SIDE: f64 = 300.0;
const COLOURS: [&str; 4] = ["#3b6fb6", "#d9792b", "#6f7378", "#3f9b5f"];

/// One line of a plot.
struct Line<'a> {
    name: &'a str,
    points: Vec<(f64, f64)>,
    dashed: bool,
}

/// A square plot of lines.
fn plot(title: &str, [across, up]: [&str; 2], ranges: [(f64, f64); 2], lines: &[Line<'_>]) -> String {
    let [(x0, x1), (y0, y1)] = ranges;
    let place = |(x, y): (f64, f64)| {
        let part = |value: f64, low: f64, high: f64| ((value - low) / (high - low)).clamp(0.0, 1.0);
        (LEFT + SIDE * part(x, x0, x1), TOP + SIDE * (1.0 - part(y, y0, y1)))
    };
    let mut svg = head(title, HEIGHT);
    let _ = writeln!(
        svg,
        "<rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{SIDE}\" height=\"{SIDE}\" fill=\"none\" stroke=\"#d0d7de\"/>\
         <text class=\"a\" x=\"{LEFT}\" y=\"{0}\">{x0:.2}</text><text class=\"a\" x=\"{1}\" y=\"{0}\" \
         text-anchor=\"end\">{x1:.2}</text><text class=\"a\" x=\"{2}\" y=\"{0}\" text-anchor=\"middle\">{across}</text>\
         <text class=\"a\" x=\"{3}\" y=\"{4}\" text-anchor=\"end\">{y1:.2}</text>\
         <text class=\"a\" x=\"{3}\" y=\"{5}\" text-anchor=\"end\">{y0:.2}</text>\
         <text class=\"a\" x=\"{LEFT}\" y=\"{6}\">{up}</text>",
        TOP + SIDE + 16.0,
        LEFT + SIDE,
        LEFT + SIDE / 2.0,
        LEFT - 6.0,
        TOP + 10.0,
        TOP + SIDE,
        TOP - 6.0
    );
    for (idx, line) in lines.iter().enumerate() {
        let mut path = String::new();
        for point in line.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
            let (x, y) = place(*point);
            let _ = write!(path, "{x:.1},{y:.1} ");
        }
        let colour = COLOURS[idx % COLOURS.len()];
        let dash = if line.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        #[allow(clippy::cast_precision_loss)]
        let y = TOP + 14.0 + 18.0 * idx as f64;
        let _ = writeln!(
            svg,
            "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/>\
             <line x1=\"{0}\" y1=\"{y}\" x2=\"{1}\" y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/>\
             <text class=\"a\" x=\"{2}\" y=\"{3}\">{4}</text>",
            LEFT + SIDE + 8.0,
            LEFT + SIDE + 24.0,
            LEFT + SIDE + 28.0,
            y + 4.0,
            escaped(line.name)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn head(title: &str, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\"><title>{0}</title>\n<style>text{{font-family:system-ui,\"DejaVu Sans\",sans-serif;font-size:13px;\
         fill:#1f2328}} .a{{font-size:11px;fill:#57606a}}</style>\n<rect width=\"{WIDTH}\" height=\"{height}\" \
         fill=\"#ffffff\"/>\n<text x=\"{LEFT}\" y=\"24\" font-weight=\"600\">{0}</text>\n",
        escaped(title)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Scores with their outcome, from high to low.
fn sorted(linear: &[f64], outcome: &Outcome) -> Vec<(f64, bool)> {
    let pairs = linear.iter().copied().zip(outcome.events());
    let mut pairs: Vec<(f64, bool)> = pairs.filter(|(eta, _)| eta.is_finite()).collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    pairs
}

/// The ROC curve of predictions for patients left out.
#[allow(clippy::cast_precision_loss)]
pub(super) fn roc(linear: &[f64], outcome: &Outcome, evaluation: &Evaluation) -> String {
    let pairs = sorted(linear, outcome);
    let n_events = pairs.iter().filter(|(_, event)| *event).count().max(1) as f64;
    let n_others = (pairs.len() as f64 - n_events).max(1.0);
    let (mut hits, mut misses) = (0.0, 0.0);
    let mut points = vec![(0.0, 0.0)];
    for tied in pairs.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let events = tied.iter().filter(|(_, event)| *event).count() as f64;
        hits += events;
        misses += tied.len() as f64 - events;
        points.push((misses / n_others, hits / n_events));
    }
    let name = evaluation.auc.map_or_else(|| "model".to_owned(), |auc| format!("model {auc:.2}"));
    let lines = [
        Line { name: &name, points, dashed: false },
        Line { name: "chance", points: vec![(0.0, 0.0), (1.0, 1.0)], dashed: true },
    ];
    plot("ROC, patients left out", ["1 - specificity", "sensitivity"], [(0.0, 1.0); 2], &lines)
}

/// Observed part of events against the predicted probability, in five groups of equal size.
#[allow(clippy::cast_precision_loss)]
pub(super) fn calibration(linear: &[f64], outcome: &Outcome) -> String {
    const GROUPS: usize = 5;
    let pairs = sorted(linear, outcome);
    let size = pairs.len().div_ceil(GROUPS).max(1);
    let group = |group: &[(f64, bool)]| {
        let n = group.len() as f64;
        let predicted = group.iter().map(|(eta, _)| sigmoid(*eta)).sum::<f64>() / n;
        (predicted, group.iter().filter(|(_, event)| *event).count() as f64 / n)
    };
    let mut points: Vec<(f64, f64)> = pairs.chunks(size).map(group).collect();
    points.reverse();
    let lines = [
        Line { name: "model", points, dashed: false },
        Line { name: "ideal", points: vec![(0.0, 0.0), (1.0, 1.0)], dashed: true },
    ];
    plot("Calibration, patients left out", ["predicted", "observed"], [(0.0, 1.0); 2], &lines)
}

/// Net benefit by threshold.
pub(super) fn decision(evaluation: &Evaluation) -> String {
    let curve = &evaluation.decision_curve;
    let model: Vec<(f64, f64)> = curve.iter().map(|at| (at.threshold, at.model)).collect();
    let all: Vec<(f64, f64)> = curve.iter().map(|at| (at.threshold, at.treat_all)).collect();
    let high = model.iter().chain(&all).map(|(_, benefit)| *benefit).fold(0.1, f64::max);
    let lines = [
        Line { name: "model", points: model, dashed: false },
        Line { name: "treat all", points: all, dashed: true },
        Line { name: "treat none", points: vec![(0.0, 0.0), (1.0, 0.0)], dashed: true },
    ];
    plot("Decision curve", ["threshold", "net benefit"], [(0.0, 1.0), (-0.1, high)], &lines)
}

/// How much each block moves the linear predictor, on average over the training patients.
#[allow(clippy::cast_precision_loss)]
pub(super) fn contributions(bundle: &Bundle, data: &Dataset) -> Result<String, TableError> {
    let parts = &bundle.fitted.parts;
    let columns = parts.iter().map(|part| part.harmonise_rows(data)).collect::<Result<Vec<_>, _>>()?;
    let mut sums = vec![(0.0, 0usize); parts.len()];
    for row in 0..data.patients.len() {
        let rows: Vec<Option<Vec<f64>>> =
            columns.iter().map(|column| column[row].as_ref().and_then(|row| row.as_ref().ok()).cloned()).collect();
        if let Some(scored) = bundle.fitted.score(&rows)? {
            let there = sums.iter_mut().zip(&scored.contributions).zip(&rows).filter(|(_, row)| row.is_some());
            there.for_each(|((sum, value), _)| *sum = (sum.0 + value.abs(), sum.1 + 1));
        }
    }
    let means: Vec<f64> = sums.iter().map(|(sum, n)| sum / (*n).max(1) as f64).collect();
    let largest = means.iter().copied().fold(1e-9, f64::max);
    let mut svg = head("Mean size of each block's contribution", TOP + 34.0 * means.len() as f64 + 12.0);
    for (idx, (part, mean)) in parts.iter().zip(&means).enumerate() {
        let y = TOP + 34.0 * idx as f64;
        let _ = writeln!(
            svg,
            "<text class=\"a\" x=\"{LEFT}\" y=\"{:.1}\">{} {mean:.3}</text><rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" \
             height=\"12\" fill=\"{}\"/>",
            y + 8.0,
            escaped(&part.block),
            y + 12.0,
            SIDE * mean / largest,
            COLOURS[0]
        );
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}
