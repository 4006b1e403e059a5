//! A cubic B-spline over a grid of voxels by its control points, fitted to scattered values (Lee, Wolberg and Shin, IEEE
//! Trans Vis Comput Graph 1997;3:228).

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // grid indices

/// Indices x, y, z of a voxel.
pub(super) type Site = [usize; 3];

/// The control points: `spans + 3` along each axis, x fastest.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lattice {
    spans: [usize; 3],
    /// Voxels along each axis: the first and the last lie on the ends of the spline.
    size: [usize; 3],
    points: Vec<f64>,
}

/// A spline along one axis at one voxel: its first control point and four weights.
#[derive(Debug, Clone, Copy)]
struct Weights {
    first: usize,
    weights: [f64; 4],
}

/// Control points of one plane of voxels: the z axis is done.
pub(super) struct Layer<'a> {
    lattice: &'a Lattice,
    points: Vec<f64>,
}

/// Control points of one row of voxels.
pub(super) struct Line<'a> {
    lattice: &'a Lattice,
    points: Vec<f64>,
}

impl Weights {
    fn of(index: usize, size: usize, spans: usize) -> Self {
        let place = if size > 1 { index as f64 * spans as f64 / (size - 1) as f64 } else { 0.0 };
        let first = (place.floor() as usize).min(spans - 1);
        let u = place - first as f64;
        let v = 1.0 - u;
        let weights = [
            v * v * v / 6.0,
            (3.0 * u * u * u - 6.0 * u * u + 4.0) / 6.0,
            (3.0 * v * v * v - 6.0 * v * v + 4.0) / 6.0,
            u * u * u / 6.0,
        ];
        Self { first, weights }
    }

    fn sum_of_squares(&self) -> f64 {
        self.weights.iter().map(|w| w * w).sum()
    }
}

impl Lattice {
    pub fn zero(spans: [usize; 3], size: [usize; 3]) -> Self {
        let n = spans.iter().map(|spans| spans + 3).product();
        Self { spans, size, points: vec![0.0; n] }
    }

    fn counts(&self) -> [usize; 3] {
        self.spans.map(|spans| spans + 3)
    }

    fn weights(&self, axis: usize) -> Vec<Weights> {
        (0..self.size[axis]).map(|index| Weights::of(index, self.size[axis], self.spans[axis])).collect()
    }

    /// The same function on a mesh of half the width: each control point is one of the old mesh's middles, or lies at an old
    /// one: (1, 6, 1) / 8 and (4, 4) / 8 of the old.
    pub fn refined(&self) -> Self {
        let mut spans = self.spans;
        let mut points = self.points.clone();
        for axis in 0..3 {
            let old = spans.map(|spans| spans + 3);
            spans[axis] *= 2;
            let new = spans.map(|spans| spans + 3);
            let mut finer = vec![0.0; new.iter().product()];
            for (place, value) in finer.iter_mut().enumerate() {
                let mut at = [place % new[0], place / new[0] % new[1], place / (new[0] * new[1])];
                let k = at[axis];
                let mut old_point = |index: usize| {
                    at[axis] = index;
                    points[(at[2] * old[1] + at[1]) * old[0] + at[0]]
                };
                *value = if k % 2 == 0 {
                    (old_point(k / 2) + old_point(k / 2 + 1)) / 2.0
                } else {
                    (old_point(k / 2) + 6.0 * old_point(k / 2 + 1) + old_point(k / 2 + 2)) / 8.0
                };
            }
            points = finer;
        }
        Self { spans, size: self.size, points }
    }

    /// Adds the spline that fits scattered values best, one value at a time: each control point is the mean of what the
    /// values in its reach would have it be, weighted by the squares of their shares.
    pub fn add_fit(&mut self, sites: &[Site], values: &[f64]) {
        let [nx, ny, _] = self.counts();
        let axes = [0, 1, 2].map(|axis| self.weights(axis));
        let mut sums = vec![(0.0, 0.0); self.points.len()];
        for (site, value) in sites.iter().zip(values) {
            let [wx, wy, wz] = [0, 1, 2].map(|axis| axes[axis][site[axis]]);
            let scale = value / (wx.sum_of_squares() * wy.sum_of_squares() * wz.sum_of_squares());
            for (k, w_z) in wz.weights.iter().enumerate() {
                for (j, w_y) in wy.weights.iter().enumerate() {
                    let row = ((wz.first + k) * ny + wy.first + j) * nx + wx.first;
                    let w_zy = w_z * w_y;
                    for (sum, w_x) in sums[row..row + 4].iter_mut().zip(&wx.weights) {
                        let weight = w_zy * w_x;
                        let square = weight * weight;
                        sum.0 += square * weight * scale;
                        sum.1 += square;
                    }
                }
            }
        }
        for (point, (weighted, weight)) in self.points.iter_mut().zip(sums) {
            if weight > 0.0 {
                *point += weighted / weight;
            }
        }
    }

    /// The spline at some voxels.
    pub fn at_sites(&self, sites: &[Site]) -> Vec<f64> {
        let [nx, ny, _] = self.counts();
        let axes = [0, 1, 2].map(|axis| self.weights(axis));
        let at = |site: &Site| {
            let [wx, wy, wz] = [0, 1, 2].map(|axis| axes[axis][site[axis]]);
            let mut sum = 0.0;
            for (k, w_z) in wz.weights.iter().enumerate() {
                for (j, w_y) in wy.weights.iter().enumerate() {
                    let row = ((wz.first + k) * ny + wy.first + j) * nx + wx.first;
                    let along: f64 = self.points[row..row + 4].iter().zip(&wx.weights).map(|(p, w)| p * w).sum();
                    sum += w_z * w_y * along;
                }
            }
            sum
        };
        sites.iter().map(at).collect()
    }

    /// The control points of one plane of voxels.
    pub fn layer(&self, z: usize) -> Layer<'_> {
        let [nx, ny, _] = self.counts();
        let weights = Weights::of(z, self.size[2], self.spans[2]);
        let mut points = vec![0.0; nx * ny];
        for (k, weight) in weights.weights.iter().enumerate() {
            let start = (weights.first + k) * nx * ny;
            points.iter_mut().zip(&self.points[start..start + nx * ny]).for_each(|(sum, p)| *sum += weight * p);
        }
        Layer { lattice: self, points }
    }
}

impl<'a> Layer<'a> {
    /// The control points of one row of voxels.
    pub fn line(&self, y: usize) -> Line<'a> {
        let [nx, _, _] = self.lattice.counts();
        let weights = Weights::of(y, self.lattice.size[1], self.lattice.spans[1]);
        let mut points = vec![0.0; nx];
        for (j, weight) in weights.weights.iter().enumerate() {
            let start = (weights.first + j) * nx;
            points.iter_mut().zip(&self.points[start..start + nx]).for_each(|(sum, p)| *sum += weight * p);
        }
        Line { lattice: self.lattice, points }
    }
}

impl Line<'_> {
    /// The spline at one voxel.
    pub fn at(&self, x: usize) -> f64 {
        let weights = Weights::of(x, self.lattice.size[0], self.lattice.spans[0]);
        self.points[weights.first..weights.first + 4].iter().zip(weights.weights).map(|(p, w)| p * w).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    const SIZE: [usize; 3] = [9, 7, 6];

    fn all_sites() -> Vec<Site> {
        (0..SIZE[2]).flat_map(|z| (0..SIZE[1]).flat_map(move |y| (0..SIZE[0]).map(move |x| [x, y, z]))).collect()
    }

    fn wavy() -> Lattice {
        let mut lattice = Lattice::zero([2, 3, 1], SIZE);
        lattice.points.iter_mut().enumerate().for_each(|(k, point)| *point = (k as f64 * 0.7).sin());
        lattice
    }

    #[test]
    fn a_finer_mesh_is_the_same_function() {
        let coarse = wavy();
        let fine = coarse.refined();
        assert_eq!(fine.counts(), [7, 9, 5]);
        for (a, b) in coarse.at_sites(&all_sites()).iter().zip(fine.at_sites(&all_sites())) {
            assert_relative_eq!(*a, b, epsilon = 1e-12);
        }
    }

    #[test]
    fn planes_and_rows_give_what_single_voxels_give() {
        let lattice = wavy();
        for (site, value) in all_sites().iter().zip(lattice.at_sites(&all_sites())) {
            assert_relative_eq!(lattice.layer(site[2]).line(site[1]).at(site[0]), value, epsilon = 1e-12);
        }
    }

    /// The sums of Lee, Wolberg and Shin over all 378 sites, done with `NumPy`'s `einsum`: what is left after 60 rounds.
    #[test]
    fn rounds_of_fits_come_to_a_constant_as_slowly_as_the_method_does() {
        let mut lattice = Lattice::zero([1, 1, 1], SIZE);
        let rest = |lattice: &Lattice| -> Vec<f64> {
            lattice.at_sites(&all_sites()).iter().map(|value| 2.5 - value).collect()
        };
        for _ in 0..60 {
            let rest = rest(&lattice);
            lattice.add_fit(&all_sites(), &rest);
        }
        let rest = rest(&lattice);
        assert_relative_eq!(rest.iter().fold(0.0, |most, r| r.abs().max(most)), 0.139_400_203, epsilon = 1e-8);
        let mean_square = rest.iter().map(|r| r * r).sum::<f64>() / rest.len() as f64;
        assert_relative_eq!(mean_square.sqrt(), 0.057_128_583, epsilon = 1e-8);
    }

    #[test]
    fn one_site_is_met_at_once_also_where_an_axis_has_one_voxel() {
        let mut flat = Lattice::zero([1, 1, 1], [4, 4, 1]);
        flat.add_fit(&[[0, 0, 0]], &[1.0]);
        assert_relative_eq!(flat.at_sites(&[[0, 0, 0]])[0], 1.0, epsilon = 1e-12);
    }
}
