//! The first two principal components, by power iteration: enough for a picture, and linear in the size of the table.

use super::qr::{add_scaled, dot, norm};

/// Scores of the rows and parts of the variance.
#[derive(Debug, Clone, PartialEq)]
pub struct TwoComponents {
    /// Per row, its place along the first and the second component.
    pub scores: Vec<[f64; 2]>,
    /// What part of the variance each explains.
    pub explained: [f64; 2],
}

const ITERATIONS: usize = 200;
const SETTLED: f64 = 1e-10;

/// The first two principal components of columns, each brought to mean 0 and variance 1 first. A value that is not known
/// counts as the mean; a column without spread as nothing.
#[must_use]
pub fn two_components(columns: &[&[f64]]) -> TwoComponents {
    let n_rows = columns.first().map_or(0, |column| column.len());
    let standard: Vec<Vec<f64>> = columns.iter().filter_map(|column| standardised(column)).collect();
    let total: f64 = standard.iter().map(|column| dot(column, column)).sum();
    let mut components: Vec<Vec<f64>> = Vec::new();
    let mut result = TwoComponents { scores: vec![[0.0; 2]; n_rows], explained: [0.0; 2] };
    for place in 0..2.min(standard.len()) {
        let Some((direction, scores)) = component(&standard, &components, n_rows) else { break };
        result.explained[place] = if total > 0.0 { dot(&scores, &scores) / total } else { 0.0 };
        result.scores.iter_mut().zip(&scores).for_each(|(row, score)| row[place] = *score);
        components.push(direction);
    }
    result
}

/// The direction of the largest variance orthogonal to those before, with the rows' scores.
fn component(columns: &[Vec<f64>], before: &[Vec<f64>], n_rows: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    // Any start that is not orthogonal to the component by accident; the same for the same table.
    #[allow(clippy::cast_precision_loss)]
    let mut direction: Vec<f64> = (0..columns.len()).map(|k| 1.0 + (k as f64 * 0.7).sin()).collect();
    let mut scores = vec![0.0; n_rows];
    for _ in 0..ITERATIONS {
        for other in before {
            let along = dot(other, &direction);
            add_scaled(&mut direction, -along, other);
        }
        let length = norm(&direction);
        if length.is_nan() || length <= 1e-12 {
            return None;
        }
        direction.iter_mut().for_each(|value| *value /= length);
        scores.fill(0.0);
        columns.iter().zip(&direction).for_each(|(column, factor)| add_scaled(&mut scores, *factor, column));
        let next: Vec<f64> = columns.iter().map(|column| dot(column, &scores)).collect();
        let size = norm(&next);
        let change: f64 = next.iter().zip(&direction).map(|(next, old)| (next / size - old).abs()).sum();
        if size <= 1e-12 || change < SETTLED {
            break;
        }
        direction = next;
    }
    let length = norm(&direction);
    direction.iter_mut().for_each(|value| *value /= length);
    Some((direction, scores))
}

#[allow(clippy::cast_precision_loss)]
fn standardised(column: &[f64]) -> Option<Vec<f64>> {
    let known: Vec<f64> = column.iter().copied().filter(|value| value.is_finite()).collect();
    let n = known.len() as f64;
    let mean = known.iter().sum::<f64>() / n;
    let variance = known.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / n;
    if variance.is_nan() || variance <= 1e-18 * mean * mean || variance <= 0.0 {
        return None;
    }
    let sd = variance.sqrt();
    Some(column.iter().map(|value| if value.is_finite() { (value - mean) / sd } else { 0.0 }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::Stream;
    use approx::assert_relative_eq;

    #[test]
    fn two_hidden_directions_are_found_with_their_variances() {
        let mut stream = Stream::new(6, 0, 0);
        let hidden: Vec<[f64; 2]> = (0..200).map(|_| [stream.normal(), stream.normal()]).collect();
        // Six columns follow the first direction, three the second.
        let columns: Vec<Vec<f64>> = (0..9)
            .map(|k| hidden.iter().map(|h| 5.0 + h[usize::from(k >= 6)] + 0.05 * stream.normal()).collect())
            .collect();
        let views: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let found = two_components(&views);
        assert_relative_eq!(found.explained[0], 6.0 / 9.0, epsilon = 0.02);
        assert_relative_eq!(found.explained[1], 3.0 / 9.0, epsilon = 0.02);
        let agreement: f64 = found.scores.iter().zip(&hidden).map(|(score, h)| score[0] * h[0]).sum();
        let (a, b): (f64, f64) =
            (found.scores.iter().map(|score| score[0] * score[0]).sum(), hidden.iter().map(|h| h[0] * h[0]).sum());
        assert!((agreement / (a * b).sqrt()).abs() > 0.98);
    }

    #[test]
    fn columns_without_spread_and_missing_values_are_no_trouble() {
        assert!(two_components(&[]).scores.is_empty());
        let found = two_components(&[&[1.0, 1.0, 1.0], &[1.0, f64::NAN, 3.0]]);
        assert_relative_eq!(found.explained[0], 1.0, epsilon = 1e-12);
        assert_relative_eq!(found.scores[1][0], 0.0);
    }
}
