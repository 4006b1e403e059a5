//! The rigid map that fits pairs of points whose places are known better in some directions than in others.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
// Pair counts are far below 2^53.

use crate::image::Affine;
use crate::math::cholesky::Cholesky;
use crate::math::linalg::{self, Mat3, Vec3};

/// One point of the anatomy in both spaces, mm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PointPair {
    pub fixed: Vec3,
    pub moving: Vec3,
    /// What a step in the moving space costs: d' W d.
    pub weight: Mat3,
}

impl PointPair {
    /// A pair found the other way round, whose first point lies in the moving space; `map` leads from fixed to moving.
    pub fn inverted(&self, map: &Affine) -> Self {
        let linear = map.linear();
        // A step d in the fixed space is A d in the moving one.
        let back = linalg::inverse(linear).unwrap_or(linalg::IDENTITY);
        let weight = linalg::mul(&linalg::mul(&linalg::transpose(&back), &self.weight), &back);
        Self { fixed: self.moving, moving: self.fixed, weight }
    }

    fn cost(&self, map: &Affine) -> f64 {
        let d = linalg::sub(map.apply(self.fixed), self.moving);
        linalg::dot(d, linalg::mul_vec(&self.weight, d))
    }
}

/// Pairs that a fit needs at least: three points fix a rigid map, and it should not be theirs alone.
const PAIRS_MIN: usize = 12;
/// Steps at most; each one lowers the trimmed sum, and a few suffice.
const STEPS_MAX: usize = 20;

/// The rigid map with the least weighted sum of squared distances over the share `kept` of the pairs that it fits best.
///
/// Gauss-Newton steps from `start`; before each one the pairs are chosen anew (concentration: Rousseeuw and Van Driessen
/// 2006). `None` for too few pairs, or where they leave a direction open.
pub(super) fn fit(pairs: &[PointPair], kept: f64, start: &Affine) -> Option<Affine> {
    if pairs.len() < PAIRS_MIN {
        return None;
    }
    let n_kept = ((pairs.len() as f64 * kept).ceil() as usize).clamp(PAIRS_MIN, pairs.len());
    let mut map = *start;
    let mut order: Vec<(f64, usize)> = Vec::with_capacity(pairs.len());
    for _ in 0..STEPS_MAX {
        order.clear();
        order.extend(pairs.iter().enumerate().map(|(k, pair)| (pair.cost(&map), k)));
        // The numbers make the order one alone where costs are equal.
        let by_cost = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if n_kept < order.len() {
            order.select_nth_unstable_by(n_kept - 1, by_cost);
            order.truncate(n_kept);
        }
        // Sums run in the order of the pairs.
        order.sort_unstable_by_key(|(_, k)| *k);
        let (turn, shift, centre) = step(pairs, &order, &map)?;
        map = map.then(&Affine::rigid(turn, centre, shift));
        if linalg::norm(shift) < 1e-3 && linalg::norm(turn) < 1e-5 {
            break;
        }
    }
    Some(map)
}

/// One Gauss-Newton step of the chosen pairs: rotation vector and shift, about the centre of their mapped points.
fn step(pairs: &[PointPair], chosen: &[(f64, usize)], map: &Affine) -> Option<(Vec3, Vec3, Vec3)> {
    let share = 1.0 / chosen.len() as f64;
    let mapped = chosen.iter().map(|(_, k)| map.apply(pairs[*k].fixed));
    let centre = mapped.fold([0.0; 3], |sum, at| linalg::add(sum, linalg::scale(share, at)));
    let mut normal = vec![vec![0.0; 6]; 6];
    let mut right = vec![0.0; 6];
    for (_, k) in chosen {
        let pair = &pairs[*k];
        let at = map.apply(pair.fixed);
        let v = linalg::sub(at, centre);
        let rest = linalg::sub(pair.moving, at);
        // The columns of d(at)/d(turn, shift): axis x v, then the axes.
        let columns: [Vec3; 6] = [
            [0.0, -v[2], v[1]],
            [v[2], 0.0, -v[0]],
            [-v[1], v[0], 0.0],
            [1.0, 0.0, 0.0],
            [0.0, 1.0, 0.0],
            [0.0, 0.0, 1.0],
        ];
        for (m, column) in columns.iter().enumerate() {
            let weighted = linalg::mul_vec(&pair.weight, *column);
            right[m] += linalg::dot(weighted, rest);
            for (n, other) in columns.iter().enumerate().take(m + 1) {
                normal[m][n] += linalg::dot(weighted, *other);
            }
        }
    }
    let x = Cholesky::new(&normal)?.solve(&right);
    Some(([x[0], x[1], x[2]], [x[3], x[4], x[5]], centre))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::Stream;

    fn cloud(n: usize, map: &Affine, noise_mm: f64) -> Vec<PointPair> {
        let mut stream = Stream::new(5, 1, 0);
        (0..n)
            .map(|_| {
                let fixed = [0; 3].map(|_| 100.0 * stream.uniform());
                let noise = [0; 3].map(|_| noise_mm * stream.normal());
                PointPair { fixed, moving: linalg::add(map.apply(fixed), noise), weight: linalg::IDENTITY }
            })
            .collect()
    }

    fn distance(a: &Affine, b: &Affine) -> f64 {
        [[0.0; 3], [100.0, 0.0, 0.0], [0.0, 100.0, 100.0]]
            .into_iter()
            .map(|p| linalg::norm(linalg::sub(a.apply(p), b.apply(p))))
            .fold(0.0, f64::max)
    }

    #[test]
    fn exact_pairs_give_back_their_map() {
        for w in [[0.2, -0.4, 0.1], [0.0; 3], [0.9, 0.0, 0.5]] {
            let map = Affine::rigid(w, [10.0, 20.0, 30.0], [5.0, -60.0, 7.0]);
            assert!(distance(&fit(&cloud(20, &map, 0.0), 0.7, &Affine::IDENTITY).unwrap(), &map) < 1e-6);
        }
    }

    #[test]
    fn a_quarter_of_wrong_pairs_does_not_move_the_trimmed_fit() {
        let map = Affine::rigid([0.1, 0.2, -0.1], [50.0; 3], [4.0, 5.0, -6.0]);
        let mut pairs = cloud(300, &map, 0.2);
        for pair in pairs.iter_mut().take(75) {
            pair.moving = linalg::add(pair.moving, [15.0, -9.0, 12.0]);
        }
        assert!(distance(&fit(&pairs, 0.7, &Affine::IDENTITY).unwrap(), &map) < 0.3);
        assert!(distance(&fit(&pairs, 1.0, &Affine::IDENTITY).unwrap(), &map) > 3.0);
    }

    #[test]
    fn a_pair_pulls_only_where_it_knows_its_place() {
        let map = Affine::translation([1.0, 2.0, 3.0]);
        let mut pairs = cloud(300, &map, 0.0);
        for (k, pair) in pairs.iter_mut().enumerate() {
            // Each pair is wrong along one axis and says so.
            pair.weight[k % 3][k % 3] = 1e-9;
            pair.moving[k % 3] += 20.0;
        }
        assert!(distance(&fit(&pairs, 1.0, &Affine::IDENTITY).unwrap(), &map) < 1e-3);
    }

    #[test]
    fn too_few_pairs_and_pairs_on_a_line_have_no_fit() {
        assert!(fit(&cloud(8, &Affine::IDENTITY, 0.0), 0.7, &Affine::IDENTITY).is_none());
        let line: Vec<PointPair> = (0..30u8)
            .map(|k| [f64::from(k), 2.0 * f64::from(k), 0.0])
            .map(|p| PointPair { fixed: p, moving: p, weight: linalg::IDENTITY })
            .collect();
        assert!(fit(&line, 0.7, &Affine::IDENTITY).is_none());
    }

    #[test]
    fn a_pair_found_backwards_says_the_same() {
        let map = Affine::rigid([0.3, 0.1, -0.2], [5.0; 3], [1.0, 2.0, 3.0]);
        let backwards = PointPair {
            fixed: map.apply([1.0, 2.0, 3.0]),
            moving: [1.0, 2.0, 3.5],
            weight: [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 4.0]],
        };
        let pair = backwards.inverted(&map);
        assert!(linalg::norm(linalg::sub(pair.fixed, [1.0, 2.0, 3.5])) < 1e-12);
        // Half a millimetre off along z of the fixed space costs 4 x 0.25.
        assert!((pair.cost(&map) - 1.0).abs() < 1e-12);
    }
}
