//! A smooth curve over a continuous covariate: penalised B-splines.
//!
//! Eilers and Marx, Statistical Science 1996: cubic B-splines on equally spaced knots, with a penalty on second differences
//! of their coefficients; in harmonisation by Pomponio et al., NeuroImage 2020. The penalty leaves straight lines free, so
//! the covariate stays in the model as itself, and the curve is what deviates from it: with D'D = U S U', its columns are
//! B U S^(-1/2) for the directions with a penalty, and the penalty becomes that of ridge regression (Currie and Durban,
//! Statistical Modelling 2002). Beyond the training range the curve goes on straight.

use serde::{Deserialize, Serialize};

use crate::math::eigen::symmetric_eigen;
use crate::math::qr::{add_scaled, dot};

/// Intervals between knots: enough for any effect of age, and the penalty takes back what is not needed.
pub const SEGMENTS: usize = 8;
const DEGREE: usize = 3;

/// Where a curve is defined.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Knots {
    /// Smallest training value.
    pub low: f64,
    /// Largest training value.
    pub high: f64,
    /// Intervals of equal length between them.
    pub n_segments: usize,
}

impl Knots {
    /// How many B-splines there are.
    #[must_use]
    pub fn n_splines(&self) -> usize {
        self.n_segments + DEGREE
    }

    /// The value of every B-spline at `x`.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn values(&self, x: f64) -> Vec<f64> {
        let inside = x.clamp(self.low, self.high);
        let mut values = self.at(inside, DEGREE);
        if (x - inside).abs() > 0.0 {
            // Straight on, with the slope at the end: the derivative of a B-spline is a difference of two of lower degree.
            let step = (self.high - self.low) / self.n_segments as f64;
            let lower = self.at(inside, DEGREE - 1);
            for (idx, value) in values.iter_mut().enumerate() {
                let slope = (lower[idx] - lower[idx + 1]) / step;
                *value += (x - inside) * slope;
            }
        }
        values
    }

    /// All B-splines of one degree by the recursion of Cox and de Boor; the knots go on outside with the same step.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn at(&self, x: f64, degree: usize) -> Vec<f64> {
        let t = (x - self.low) / (self.high - self.low) * self.n_segments as f64;
        let segment = (t.floor().max(0.0) as usize).min(self.n_segments - 1);
        // In units of the step, knot k lies at k - DEGREE.
        let mut values = vec![0.0; self.n_segments + 2 * DEGREE];
        values[segment + DEGREE] = 1.0;
        for order in 1..=degree {
            for idx in 0..self.n_segments + 2 * DEGREE - order {
                let knot = idx as f64 - DEGREE as f64;
                let rising = (t - knot) / order as f64 * values[idx];
                let falling = (knot + (order + 1) as f64 - t) / order as f64 * values[idx + 1];
                values[idx] = rising + falling;
            }
        }
        values.truncate(self.n_segments + 2 * DEGREE - degree);
        values
    }

    /// From coefficients of the penalised directions to coefficients of the B-splines: one row per direction.
    #[must_use]
    pub(super) fn directions(&self) -> Vec<Vec<f64>> {
        let n = self.n_splines();
        let differences: Vec<Vec<f64>> = (0..n - 2)
            .map(|row| {
                let mut difference = vec![0.0; n];
                difference[row..row + 3].copy_from_slice(&[1.0, -2.0, 1.0]);
                difference
            })
            .collect();
        let penalty: Vec<Vec<f64>> =
            (0..n).map(|i| (0..n).map(|j| differences.iter().map(|d| d[i] * d[j]).sum()).collect()).collect();
        let eigen = symmetric_eigen(&penalty);
        // The last two have no penalty: constants and straight lines.
        let penalised = eigen.values.iter().zip(&eigen.vectors).take(n - 2);
        penalised.map(|(value, vector)| vector.iter().map(|x| x / value.sqrt()).collect()).collect()
    }

    /// The penalised columns for some values.
    pub(super) fn columns(&self, x: &[f64]) -> Vec<Vec<f64>> {
        let values: Vec<Vec<f64>> = x.iter().map(|x| self.values(*x)).collect();
        self.directions().iter().map(|direction| values.iter().map(|row| dot(row, direction)).collect()).collect()
    }

    /// Coefficients of the B-splines from those of the penalised columns.
    pub(super) fn coefficients(&self, directions: &[Vec<f64>], penalised: &[f64]) -> Vec<f64> {
        let mut coefficients = vec![0.0; self.n_splines()];
        for (direction, factor) in directions.iter().zip(penalised) {
            add_scaled(&mut coefficients, *factor, direction);
        }
        coefficients
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    const KNOTS: Knots = Knots { low: 20.0, high: 80.0, n_segments: 8 };

    #[test]
    fn splines_sum_to_one_everywhere_and_go_on_straight_outside() {
        for x in [20.0, 33.3, 61.0, 80.0, 95.0, 0.0] {
            assert_relative_eq!(KNOTS.values(x).iter().sum::<f64>(), 1.0, epsilon = 1e-12);
        }
        // Coefficients on a line give that line.
        let line: Vec<f64> = (0..KNOTS.n_splines()).map(|k| 20.0 + 7.5 * (k as f64 - 1.0)).collect();
        for x in [20.0, 47.0, 80.0, 93.0, 11.0] {
            assert_relative_eq!(dot(&KNOTS.values(x), &line), x, epsilon = 1e-9);
        }
    }

    #[test]
    fn a_curve_is_found_where_there_is_one_and_a_line_where_there_is_none() {
        use super::super::design::Design;
        use crate::math::random::Stream;
        let mut stream = Stream::new(5, 0, 0);
        let n = 300;
        let age: Vec<f64> = (0..n).map(|_| 20.0 + 60.0 * stream.uniform()).collect();
        let truth = |age: f64| 3.0 * ((age - 50.0) / 12.0).tanh();
        let noise: Vec<f64> = (0..n).map(|_| 0.1 * stream.normal()).collect();
        let batch_of: Vec<usize> = (0..n).map(|i| i % 2).collect();
        let columns = KNOTS.columns(&age);
        let design = Design::new(batch_of.clone(), 2, std::slice::from_ref(&age), Some(&columns)).unwrap();
        let mut residual = Vec::new();
        let curved: Vec<f64> = (0..n).map(|i| truth(age[i]) + 2.0 * batch_of[i] as f64 + noise[i]).collect();
        let found = design.solve(&curved, &mut residual);
        let rms = (dot(&residual, &residual) / n as f64).sqrt();
        assert!((0.08..0.115).contains(&rms), "{rms}");
        assert_relative_eq!(found.batches[1] - found.batches[0], 2.0, epsilon = 0.05);
        let spline = KNOTS.coefficients(&KNOTS.directions(), &found.curve);
        let value = |age: f64| found.beta[0] * age + dot(&KNOTS.values(age), &spline);
        assert_relative_eq!(value(70.0) - value(30.0), truth(70.0) - truth(30.0), epsilon = 0.15);
        let straight: Vec<f64> = (0..n).map(|i| 0.05 * age[i] + noise[i]).collect();
        let found = design.solve(&straight, &mut residual);
        let spline = KNOTS.coefficients(&KNOTS.directions(), &found.curve);
        let bend = dot(&KNOTS.values(30.0), &spline) + dot(&KNOTS.values(70.0), &spline)
            - 2.0 * dot(&KNOTS.values(50.0), &spline);
        assert!(bend.abs() < 0.1, "{bend}");
    }
}
