//! Intraclass correlation: P. E. Shrout, J. L. Fleiss, Psychological Bulletin 86 (1979) 420; intervals as in K. O. McGraw,
//! S. P. Wong, Psychological Methods 1 (1996) 30.
//!
//! ICC(1,1) takes the repetitions of each subject as unrelated to those of the others; ICC(2,1) takes the k-th repetition of
//! all subjects as the work of one rater, drawn from many.

#![allow(clippy::cast_precision_loss)] // numbers of subjects and raters

use super::special::f_tail;

/// A correlation with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Icc {
    /// The estimate; may be below zero.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// What either end of the interval leaves out.
const TAIL: f64 = 0.025;

/// ICC(1,1) and ICC(2,1) of a table of subjects (rows) and raters (columns); `None` when there are fewer than two of either,
/// rows differ in length, or all values are equal.
#[must_use]
pub fn intraclass(rows: &[Vec<f64>]) -> Option<(Icc, Icc)> {
    let squares = MeanSquares::of(rows)?;
    Some((squares.one_way(), squares.two_way()))
}

/// The analysis of variance.
struct MeanSquares {
    n: f64,
    k: f64,
    between: f64,
    within: f64,
    raters: f64,
    error: f64,
}

impl MeanSquares {
    fn of(rows: &[Vec<f64>]) -> Option<Self> {
        let (n, k) = (rows.len(), rows.first()?.len());
        if n < 2 || k < 2 || rows.iter().any(|row| row.len() != k) {
            return None;
        }
        let (n, k) = (n as f64, k as f64);
        let grand = rows.iter().flatten().sum::<f64>() / (n * k);
        let means = rows.iter().map(|row| row.iter().sum::<f64>() / k);
        let of_subjects = k * means.clone().map(|mean| (mean - grand).powi(2)).sum::<f64>();
        let inside: f64 = rows.iter().zip(means).flat_map(|(row, m)| row.iter().map(move |v| (v - m).powi(2))).sum();
        let column = |j: usize| rows.iter().map(|row| row[j]).sum::<f64>() / n;
        let of_raters = n * (0..rows[0].len()).map(|j| (column(j) - grand).powi(2)).sum::<f64>();
        (of_subjects + inside > 0.0).then(|| Self {
            n,
            k,
            between: of_subjects / (n - 1.0),
            within: inside / (n * (k - 1.0)),
            raters: of_raters / (k - 1.0),
            error: ((inside - of_raters) / ((n - 1.0) * (k - 1.0))).max(0.0),
        })
    }

    fn one_way(&self) -> Icc {
        let Self { n, k, between, within, .. } = *self;
        let share = |f: f64| if f.is_finite() { (f - 1.0) / (f + k - 1.0) } else { 1.0 };
        let f = between / within;
        let (df, df_within) = (n - 1.0, n * (k - 1.0));
        Icc {
            value: (between - within) / (between + (k - 1.0) * within),
            low: share(f / f_quantile(df, df_within)),
            high: share(f * f_quantile(df_within, df)),
        }
    }

    fn two_way(&self) -> Icc {
        let Self { n, k, between, raters, error, .. } = *self;
        let value = (between - error) / (between + (k - 1.0) * error + k * (raters - error) / n);
        if error <= 0.0 {
            return Icc { value, low: value, high: value };
        }
        let f = raters / error;
        let rest = n * (1.0 + (k - 1.0) * value) - k * value;
        let top = (k - 1.0) * (n - 1.0) * (k * value * f + rest).powi(2);
        let df = top / ((n - 1.0) * (k * value * f).powi(2) + rest * rest);
        let noise = k * raters + (k * n - k - n) * error;
        let (upper, lower) = (f_quantile(n - 1.0, df), f_quantile(df, n - 1.0));
        Icc {
            value,
            low: n * (between - upper * error) / (upper * noise + n * between),
            high: n * (lower * between - error) / (noise + n * lower * between),
        }
    }
}

/// The value of F that is exceeded with probability [`TAIL`].
fn f_quantile(df_1: f64, df_2: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while f_tail(high, df_1, df_2) > TAIL && high < 1e12 {
        low = high;
        high *= 2.0;
    }
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if f_tail(middle, df_1, df_2) > TAIL { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn the_judges_of_shrout_and_fleiss_agree_as_published() {
        let ratings = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]];
        let rows: Vec<Vec<f64>> = ratings.iter().map(|row| row.iter().map(|v| f64::from(*v)).collect()).collect();
        let (one, two) = intraclass(&rows).unwrap();
        for (found, expected) in [
            ([one.value, one.low, one.high], [0.1657, -0.1329, 0.7226]),
            ([two.value, two.low, two.high], [0.2898, 0.0188, 0.7611]),
        ] {
            found.iter().zip(expected).for_each(|(a, b)| assert_relative_eq!(*a, b, epsilon = 6e-5));
        }
    }

    #[test]
    fn raters_who_always_agree_are_one_and_tables_that_say_nothing_have_none() {
        let rows: Vec<Vec<f64>> = (0..5).map(|i| vec![f64::from(i); 3]).collect();
        let (one, two) = intraclass(&rows).unwrap();
        assert_relative_eq!(one.value, 1.0);
        assert_relative_eq!(one.low, 1.0);
        assert_relative_eq!(two.value, 1.0);
        assert_eq!(intraclass(&[vec![1.0, 2.0]]), None);
        assert_eq!(intraclass(&[vec![1.0, 2.0], vec![1.0]]), None);
        assert_eq!(intraclass(&[vec![1.0, 1.0], vec![1.0, 1.0]]), None);
    }
}
