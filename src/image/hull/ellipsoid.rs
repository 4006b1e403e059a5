//! The ellipsoid of least volume around points.
//!
//! Khachiyan's dual (1996): weights u on the points whose second moment has the greatest determinant; found by Frank-Wolfe
//! steps towards the point that sticks out most and, as Todd and Yildirim (2007) showed to be needed for fast convergence,
//! away from the point that is weighted too much. Few points touch the ellipsoid, so the steps run over a small set; when
//! its ellipsoid is found, the points that stick out of it most join the set, until none does.

use crate::math::linalg::{Mat3, Vec3, symmetric_eigen};

/// By how much a point may stick out of the ellipsoid, as a share of its size squared. The volume is off by as much.
pub const ENCLOSE_TOLERANCE: f64 = 1e-8;

/// Steps over one set at most; convergence is linear and takes some hundred to some thousand.
const STEPS_MAX: usize = 100_000;

/// Sets at most; some ten do.
const SETS_MAX: usize = 1000;

/// Points that join the set at a time.
const JOIN: usize = 8;

/// Steps after which the inverse is computed anew, without the rounding of its updates.
const REFRESH_EVERY: usize = 50;

/// Space has three dimensions; lifted points (x, y, z, 1) have four.
const LIFTED: f64 = 4.0;

/// Semi-axes of the smallest ellipsoid around the points, from long to short.
///
/// `None` for points in one plane, whose ellipsoid has no volume.
#[must_use]
pub fn enclosing_ellipsoid(points: &[Vec3]) -> Option<Vec3> {
    let n = points.len() as f64;
    let centre = [0, 1, 2].map(|axis| points.iter().map(|p| p[axis]).sum::<f64>() / n);
    let size = points.iter().flat_map(|p| [0, 1, 2].map(|axis| (p[axis] - centre[axis]).abs())).fold(0.0, f64::max);
    if !(size > 0.0 && size.is_finite()) {
        return None;
    }
    let lifted = |p: &Vec3| [(p[0] - centre[0]) / size, (p[1] - centre[1]) / size, (p[2] - centre[2]) / size, 1.0];
    let all: Vec<[f64; 4]> = points.iter().map(lifted).collect();
    let mut set = start(&all);
    for _ in 0..SETS_MAX {
        let inverse = solve(&mut set)?;
        let mut beyond: Vec<(f64, [f64; 4])> = all
            .iter()
            .map(|q| (quadratic(&inverse, q), *q))
            .filter(|(spread, _)| *spread > LIFTED * (1.0 + 2.0 * ENCLOSE_TOLERANCE))
            .collect();
        if beyond.is_empty() {
            break;
        }
        beyond.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        set.retain(|point| point.weight > 0.0);
        set.extend(beyond.iter().take(JOIN).map(|(_, q)| Weighted { q: *q, weight: 0.0, spread: 0.0 }));
    }
    semi_axes(&set, size)
}

/// Moves the weights to the ellipsoid of the set; the inverse of its moment, or `None` when the set is flat.
fn solve(set: &mut [Weighted]) -> Option<[[f64; 4]; 4]> {
    let mut inverse = invert(&moment(set))?;
    for step in 1..=STEPS_MAX {
        if step % REFRESH_EVERY == 0 {
            inverse = invert(&moment(set))?;
        }
        for point in &mut *set {
            point.spread = quadratic(&inverse, &point.q);
        }
        let (out, inner) = extremes(set)?;
        let (above, below) = (set[out].spread / LIFTED - 1.0, 1.0 - set[inner].spread / LIFTED);
        if above.max(below) <= ENCLOSE_TOLERANCE {
            break;
        }
        shift_weight(set, if above >= below { out } else { inner }, &mut inverse);
    }
    Some(inverse)
}

/// A point with its share in the moment.
struct Weighted {
    q: [f64; 4],
    weight: f64,
    /// q' M^-1 q: 4 on the ellipsoid.
    spread: f64,
}

/// The outermost points along the axes and the diagonals, equally weighted: they span space where the points do.
fn start(points: &[[f64; 4]]) -> Vec<Weighted> {
    let mut chosen = std::collections::BTreeSet::new();
    for code in 0..27 {
        let direction = [code % 3, code / 3 % 3, code / 9].map(|v| f64::from(v) - 1.0);
        let along = |q: &[f64; 4]| direction[0] * q[0] + direction[1] * q[1] + direction[2] * q[2];
        let best = points.iter().enumerate().max_by(|a, b| along(a.1).total_cmp(&along(b.1)));
        chosen.extend(best.map(|(index, _)| index));
    }
    let weight = 1.0 / chosen.len() as f64;
    chosen.into_iter().map(|index| Weighted { q: points[index], weight, spread: 0.0 }).collect()
}

/// The point that sticks out most, and the weighted point that lies deepest inside.
fn extremes(points: &[Weighted]) -> Option<(usize, usize)> {
    let by_spread = |a: &(usize, &Weighted), b: &(usize, &Weighted)| a.1.spread.total_cmp(&b.1.spread);
    let out = points.iter().enumerate().max_by(by_spread)?.0;
    let inner = points.iter().enumerate().filter(|(_, point)| point.weight > 0.0).min_by(by_spread)?.0;
    Some((out, inner))
}

/// Moves weight to or from one point by the best amount, and the inverse moment with it (Sherman and Morrison).
fn shift_weight(points: &mut [Weighted], k: usize, inverse: &mut [[f64; 4]; 4]) {
    let Weighted { q, weight, spread } = points[k];
    let best = (spread - LIFTED) / (LIFTED * (spread - 1.0));
    // All of its weight may go, no more.
    let amount = if spread > LIFTED { best } else { best.max(-weight / (1.0 - weight)) };
    let gone = spread <= LIFTED && amount > best;
    for point in points.iter_mut() {
        point.weight *= 1.0 - amount;
    }
    points[k].weight = if gone { 0.0 } else { points[k].weight + amount };
    let image = inverse.map(|row| row.iter().zip(&q).map(|(a, b)| a * b).sum::<f64>());
    let factor = amount / (1.0 - amount + amount * spread);
    for (row, a) in inverse.iter_mut().zip(image) {
        for (value, b) in row.iter_mut().zip(image) {
            *value = (*value - factor * a * b) / (1.0 - amount);
        }
    }
}

fn moment(points: &[Weighted]) -> [[f64; 4]; 4] {
    let mut sum = [[0.0; 4]; 4];
    for point in points.iter().filter(|point| point.weight > 0.0) {
        for (row, a) in sum.iter_mut().zip(point.q) {
            for (value, b) in row.iter_mut().zip(point.q) {
                *value += point.weight * a * b;
            }
        }
    }
    sum
}

fn quadratic(inverse: &[[f64; 4]; 4], q: &[f64; 4]) -> f64 {
    inverse.iter().zip(q).map(|(row, a)| a * row.iter().zip(q).map(|(m, b)| m * b).sum::<f64>()).sum()
}

/// The inverse of a symmetric positive definite matrix; `None` when it is singular to working precision.
fn invert(matrix: &[[f64; 4]; 4]) -> Option<[[f64; 4]; 4]> {
    let rows: Vec<Vec<f64>> = matrix.iter().map(|row| row.to_vec()).collect();
    let inverse = crate::math::cholesky::Cholesky::new(&rows)?.inverse();
    let mut out = [[0.0; 4]; 4];
    for (to, from) in out.iter_mut().zip(&inverse) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
    Some(out)
}

/// The ellipsoid of the weights: covariance times three.
fn semi_axes(points: &[Weighted], size: f64) -> Option<Vec3> {
    let sum = moment(points);
    let total = sum[3][3];
    let covariance: Mat3 =
        [0, 1, 2].map(|i| [0, 1, 2].map(|j| sum[i][j] / total - sum[i][3] * sum[j][3] / (total * total)));
    let (mut values, _) = symmetric_eigen(&covariance);
    values.sort_unstable_by(|a, b| b.total_cmp(a));
    values.iter().all(|value| *value > 0.0).then(|| values.map(|value| size * (3.0 * value).sqrt()))
}
