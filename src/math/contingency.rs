//! Association of two categorical variables: the table of counts, Cramer's V, the chi-square test and Fisher's exact test.

use super::random::Stream;
use super::special::{chi_square_tail, ln_gamma};

/// Counts of pairs of categories; every row and every column has at least one count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contingency {
    counts: Vec<Vec<usize>>,
}

/// Tables of the same margins that are gone through one by one, at most; beyond it they are drawn.
const EXACT_TABLES_MAX: usize = 200_000;
/// Drawn tables: p values have a standard error below 0.0022.
const DRAWN_TABLES: usize = 50_000;
const PURPOSE: u64 = 300;
/// Two probabilities this close are equal: they differ by rounding.
const SAME_PROBABILITY: f64 = 1e-7;

impl Contingency {
    /// The table of `first[i]`, `second[i]`, categories numbered from 0; categories that never occur are left out.
    #[must_use]
    pub fn of(first: &[usize], second: &[usize]) -> Self {
        let n_rows = first.iter().max().map_or(0, |last| last + 1);
        let n_columns = second.iter().max().map_or(0, |last| last + 1);
        let mut counts = vec![vec![0; n_columns]; n_rows];
        for (row, column) in first.iter().zip(second) {
            counts[*row][*column] += 1;
        }
        Self::new(&counts)
    }

    /// A table of counts without its empty rows and columns.
    #[must_use]
    pub fn new(counts: &[Vec<usize>]) -> Self {
        let n_columns = counts.first().map_or(0, Vec::len);
        let used: Vec<usize> = (0..n_columns).filter(|column| counts.iter().any(|row| row[*column] > 0)).collect();
        let rows = counts.iter().filter(|row| row.iter().any(|count| *count > 0));
        Self { counts: rows.map(|row| used.iter().map(|column| row[*column]).collect()).collect() }
    }

    /// Rows and columns.
    #[must_use]
    pub fn shape(&self) -> (usize, usize) {
        (self.counts.len(), self.counts.first().map_or(0, Vec::len))
    }

    fn margins(&self) -> (Vec<usize>, Vec<usize>, usize) {
        let rows: Vec<usize> = self.counts.iter().map(|row| row.iter().sum()).collect();
        let columns = (0..self.shape().1).map(|column| self.counts.iter().map(|row| row[column]).sum()).collect();
        let n = rows.iter().sum();
        (rows, columns, n)
    }

    /// Pearson's chi-square, its degrees of freedom, and the smallest expected count.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn chi_square(&self) -> (f64, f64, f64) {
        let (rows, columns, n) = self.margins();
        let (mut statistic, mut smallest) = (0.0, f64::INFINITY);
        for (counts, row) in self.counts.iter().zip(&rows) {
            for (count, column) in counts.iter().zip(&columns) {
                let expected = *row as f64 * *column as f64 / n as f64;
                statistic += (*count as f64 - expected).powi(2) / expected;
                smallest = f64::min(smallest, expected);
            }
        }
        let df = rows.len().saturating_sub(1) * columns.len().saturating_sub(1);
        (statistic, df as f64, smallest)
    }

    /// Cramer's V with Bergsma's correction for bias (J. Korean Stat. Soc. 2013): 0 for independent variables on average,
    /// 1 where one tells the other.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn cramers_v(&self) -> f64 {
        let (rows, columns, n) = self.margins();
        let (r, k, n) = (rows.len() as f64, columns.len() as f64, n as f64);
        if r < 2.0 || k < 2.0 || n < 2.0 {
            return 0.0;
        }
        let phi2 = self.chi_square().0 / n;
        let corrected = (phi2 - (r - 1.0) * (k - 1.0) / (n - 1.0)).max(0.0);
        let r = r - (r - 1.0).powi(2) / (n - 1.0);
        let k = k - (k - 1.0).powi(2) / (n - 1.0);
        let largest = (r - 1.0).min(k - 1.0);
        if largest > 0.0 { (corrected / largest).sqrt().min(1.0) } else { 1.0 }
    }

    /// The p value of independence: chi-square where every expected count is 5 or more (Cochran's rule), else Fisher's.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        let (statistic, df, smallest) = self.chi_square();
        if smallest >= 5.0 { chi_square_tail(statistic, df) } else { self.fisher() }
    }

    /// Fisher's exact test of any number of rows and columns (Freeman and Halton 1951): the probability of all tables of
    /// these margins that are no more likely than this one. Where there are too many tables, they are drawn at random,
    /// always the same ones.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn fisher(&self) -> f64 {
        let (rows, columns, n) = self.margins();
        if rows.len() < 2 || columns.len() < 2 {
            return 1.0;
        }
        let ln_factorial: Vec<f64> = (0..=n).map(|k| ln_gamma(k as f64 + 1.0)).collect();
        let margin = |counts: &[usize]| counts.iter().map(|count| ln_factorial[*count]).sum::<f64>();
        let constant = margin(&rows) + margin(&columns) - ln_factorial[n];
        let observed = constant - self.counts.iter().map(|row| margin(row)).sum::<f64>();
        let limit = observed + SAME_PROBABILITY;
        let mut tables = Tables { ln_factorial: &ln_factorial, limit, n_left: EXACT_TABLES_MAX, p: 0.0 };
        match tables.columns(&rows, &columns, constant) {
            Some(()) => tables.p.min(1.0),
            None => drawn(&rows, &columns, &ln_factorial, limit - constant),
        }
    }
}

/// Goes through all tables of given margins.
struct Tables<'a> {
    ln_factorial: &'a [f64],
    limit: f64,
    n_left: usize,
    p: f64,
}

impl Tables<'_> {
    /// `None` when there are too many tables.
    fn columns(&mut self, rows: &[usize], columns: &[usize], ln_p: f64) -> Option<()> {
        match columns {
            // The last column is what is left.
            [] | [_] => {
                let ln_p = ln_p - rows.iter().map(|row| self.ln_factorial[*row]).sum::<f64>();
                if ln_p <= self.limit {
                    self.p += ln_p.exp();
                }
                self.n_left = self.n_left.checked_sub(1)?;
                Some(())
            }
            [first, rest @ ..] => self.cells(&mut rows.to_vec(), 0, *first, rest, ln_p),
        }
    }

    fn cells(&mut self, rows: &mut [usize], at: usize, left: usize, rest: &[usize], ln_p: f64) -> Option<()> {
        let available = rows[at];
        if at + 1 == rows.len() {
            if left <= available {
                rows[at] = available - left;
                self.columns(rows, rest, ln_p - self.ln_factorial[left])?;
                rows[at] = available;
            }
            return Some(());
        }
        for count in 0..=available.min(left) {
            rows[at] = available - count;
            self.cells(rows, at + 1, left - count, rest, ln_p - self.ln_factorial[count])?;
        }
        rows[at] = available;
        Some(())
    }
}

/// The part of random tables with these margins that are no more likely than the limit.
#[allow(clippy::cast_precision_loss)]
fn drawn(rows: &[usize], columns: &[usize], ln_factorial: &[f64], limit: f64) -> f64 {
    let spread = |counts: &[usize]| -> Vec<usize> {
        counts.iter().enumerate().flat_map(|(category, count)| std::iter::repeat_n(category, *count)).collect()
    };
    let (first, mut second) = (spread(rows), spread(columns));
    let mut stream = Stream::new(1, PURPOSE, 0);
    let mut n_extreme = 0usize;
    let mut counts = vec![0usize; rows.len() * columns.len()];
    for _ in 0..DRAWN_TABLES {
        stream.shuffle(&mut second);
        counts.fill(0);
        first.iter().zip(&second).for_each(|(row, column)| counts[row * columns.len() + column] += 1);
        let ln_p = -counts.iter().map(|count| ln_factorial[*count]).sum::<f64>();
        n_extreme += usize::from(ln_p <= limit);
    }
    (n_extreme + 1) as f64 / (DRAWN_TABLES + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    /// By enumeration of all tables with exact fractions.
    const FISHER_3X3: f64 = 0.008_895_516_248_457_426;

    fn table(counts: &[&[usize]]) -> Contingency {
        Contingency::new(&counts.iter().map(|row| row.to_vec()).collect::<Vec<_>>())
    }

    #[test]
    fn chi_square_is_that_of_scipy() {
        let (statistic, df, _) = table(&[&[10, 20, 30], &[6, 9, 17]]).chi_square();
        assert_relative_eq!(statistic, 0.271_574_651_504_035_04, epsilon = 1e-12);
        assert_relative_eq!(df, 2.0);
        assert_relative_eq!(table(&[&[10, 20, 30], &[6, 9, 17]]).p_value(), 0.873_028_283_380_073, epsilon = 1e-12);
    }

    #[test]
    fn fishers_test_is_that_of_scipy_and_of_enumeration() {
        assert_relative_eq!(table(&[&[8, 2], &[1, 5]]).fisher(), 0.034_965_034_965_034_975, epsilon = 1e-10);
        assert_relative_eq!(table(&[&[1, 11], &[11, 1]]).fisher(), 0.000_107_242_333_652_348_44, epsilon = 1e-12);
        assert_relative_eq!(table(&[&[3, 1, 0], &[0, 4, 2], &[2, 0, 5]]).fisher(), FISHER_3X3, epsilon = 1e-10);
    }

    #[test]
    fn too_many_tables_are_drawn_and_agree_with_the_whole() {
        let small = table(&[&[3, 1, 0], &[0, 4, 2], &[2, 0, 5]]);
        let (rows, columns, n) = small.margins();
        let ln_factorial: Vec<f64> = (0..=n).map(|k| ln_gamma(k as f64 + 1.0)).collect();
        let limit = -small.counts.iter().flatten().map(|count| ln_factorial[*count]).sum::<f64>() + 1e-7;
        assert_relative_eq!(drawn(&rows, &columns, &ln_factorial, limit), FISHER_3X3, epsilon = 0.002);
        let many: Vec<Vec<usize>> = (0..8).map(|i| (0..8).map(|j| 3 + (i * j) % 5).collect()).collect();
        assert!(Contingency::new(&many).fisher() > 0.05);
    }

    #[test]
    fn the_corrected_v_is_one_for_a_copy_and_near_zero_for_noise() {
        let copy: Vec<usize> = (0..24).map(|i| i / 12).collect();
        assert_relative_eq!(Contingency::of(&copy, &copy).cramers_v(), 1.0, epsilon = 1e-12);
        let alternating: Vec<usize> = (0..24).map(|i| i % 2).collect();
        assert_relative_eq!(Contingency::of(&copy, &alternating).cramers_v(), 0.0);
        assert_relative_eq!(table(&[&[1, 11], &[11, 1]]).cramers_v(), 0.825, epsilon = 0.001);
        assert_relative_eq!(Contingency::of(&copy, &[0; 24]).cramers_v(), 0.0);
    }
}
