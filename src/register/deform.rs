//! The map that bends: a linear map after a free-form displacement with cubic B-splines (Rueckert et al. 1999).
//!
//! y = A (x + d(x)) + t with d(x) = sum over the control points of c B3(u - i), u the position in units of the control grid.
//! The measure is that of the first estimator with exact gradients; to it comes the bending energy of the control lattice, the
//! mean over its points of the squared second differences over the fourth power of its spacing, which keeps the field smooth
//! and, where nothing is to be seen, flat, and the mean squared divergence, for bodies are nearly incompressible and a measure
//! of information gains by drawing in what is dull. L-BFGS goes from coarse to fine over one control grid.
//!
//! A field that folds (a Jacobian that is not positive) is not given out: it is sought anew under more bending. Sums run in
//! fixed parts: the result is the same bits for any number of threads.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // grid sizes

use rayon::prelude::*;

use super::nmi::{Measure, Scratch};
use super::pyramid::{Level, Pyramid};
use super::search;
use super::settings::{Estimation, Similarity};
use crate::image::{Affine, Displacement, Geometry, Mask};
use crate::math::linalg::{self, Vec3};
use crate::math::optimise;

/// A displacement before a linear map.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Deformation {
    /// d, in the fixed space.
    pub displacement: Displacement,
    /// The least and the greatest Jacobian determinant over the body.
    pub jacobian: (f64, f64),
    /// Share of the body where it is not positive.
    pub folded_share: f64,
    /// Normalised mutual information without any map and with this one, on the samples that it was sought with.
    pub nmi: [f64; 2],
}

/// How many times the bending is raised before a field that folds is given up, and by how much.
const RAISES_MAX: usize = 3;
const RAISE: f64 = 4.0;
/// Steps of the control grid between the nodes of the field that is given out: linear interpolation between them is within
/// two hundredths of a millimetre for a bend of 8 mm over 30 mm.
const NODES_PER_CONTROL: f64 = 4.0;
/// The parts in which gradients are summed.
const PARTS: usize = 8;
/// Iterations at each level: after 60 a bend of the synthetic patient lies up to 0.6 mm from where it ends.
const ITERATIONS_MAX: usize = 150;

/// The best field before a linear map; `None` where every one that was found folds.
pub(super) fn deform(pyramid: &Pyramid, linear: &Affine, settings: &Estimation) -> Option<Deformation> {
    let finest = pyramid.levels.last()?;
    let control = control_grid(&finest.fixed.geometry, settings.control_spacing_mm);
    let (mut bending, compression) = (settings.bending_weight_mm2, settings.compression_weight);
    for _ in 0..=RAISES_MAX {
        let mut at = vec![0.0; 3 * control.n_voxels()];
        for level in &pyramid.levels {
            at = refine(level, linear, &control, &at, Cost { measure: settings.measure, bending, compression });
        }
        let displacement = sampled(&control, &at, &finest.fixed.geometry)?;
        let (jacobian, folded_share) = jacobian(&displacement, &finest.fixed_body)?;
        if jacobian.0 > 0.0 {
            let nmi = [search::value_at(finest, &Affine::IDENTITY).nmi, value_at(finest, linear, &control, &at)];
            return Some(Deformation { displacement, jacobian, folded_share, nmi });
        }
        bending *= RAISE;
    }
    None
}

/// The measure under a field.
fn value_at(level: &Level, linear: &Affine, control: &Geometry, at: &[f64]) -> f64 {
    let (mut moved, mut pulls) = (Vec::new(), Vec::new());
    let coefficients: Vec<[f32; 3]> = at.as_chunks::<3>().0.iter().map(|c| c.map(|v| v as f32)).collect();
    Spline::new(control, &level.samples.centre).displaced(level.samples.positions(), &coefficients, &mut moved);
    let measure = Measure::new(&level.samples, &level.binned, Similarity::Nmi);
    measure.value_and_pulls(linear, &moved, &mut Scratch::default(), &mut pulls).nmi
}

/// Control points over the fixed box and one more on each side than the spline needs.
fn control_grid(fixed: &Geometry, spacing_mm: f64) -> Geometry {
    let cells =
        [0, 1, 2].map(|axis| (fixed.size[axis] as f64 * fixed.spacing_mm[axis] / spacing_mm).ceil() as usize + 1);
    let size = cells.map(|n| n + 3);
    let beyond = [0, 1, 2].map(|axis| {
        let extent = fixed.size[axis] as f64 * fixed.spacing_mm[axis];
        let covered = (size[axis] as f64 - 1.0) * spacing_mm;
        -0.5 - 0.5 * (covered - extent) / fixed.spacing_mm[axis]
    });
    Geometry {
        size,
        spacing_mm: [spacing_mm; 3],
        origin_mm: fixed.voxel_to_world(beyond),
        directions: fixed.directions,
    }
}

/// What is minimised: bending and compression, each times its weight, less the measure.
#[derive(Clone, Copy)]
struct Cost {
    measure: Similarity,
    bending: f64,
    compression: f64,
}

/// Goes down the gradient over the control points at one level.
fn refine(level: &Level, linear: &Affine, control: &Geometry, start: &[f64], cost: Cost) -> Vec<f64> {
    let measure = Measure::new(&level.samples, &level.binned, cost.measure);
    let spline = Spline::new(control, &level.samples.centre);
    let mut scratch = Scratch::default();
    let mut pulls = Vec::new();
    let mut moved = Vec::new();
    let per_variable = (start.len() as f64).sqrt();
    let settings = optimise::Settings {
        memory: 8,
        iterations_max: ITERATIONS_MAX,
        step_first: 0.2 * per_variable,
        step_max: 1.0 * per_variable,
        step_min: 0.001 * per_variable,
    };
    let found = optimise::minimise(start, &settings, |at, gradient| {
        let coefficients: Vec<[f32; 3]> = at.as_chunks::<3>().0.iter().map(|c| c.map(|v| v as f32)).collect();
        spline.displaced(level.samples.positions(), &coefficients, &mut moved);
        let value = measure.value_and_pulls(linear, &moved, &mut scratch, &mut pulls);
        spline.gather(level.samples.positions(), &pulls, gradient);
        let bending = add_bending(control, at, cost.bending, gradient);
        let compression = add_compression(control, at, cost.compression, gradient);
        bending + compression - value.sought
    });
    found.point
}

/// The control grid as samples see it: single precision, about the samples' centre.
struct Spline {
    size: [usize; 3],
    /// From a position about the samples' centre to the control grid's index.
    rows: [[f32; 3]; 3],
    shift: [f32; 3],
}

impl Spline {
    fn new(control: &Geometry, centre: &Vec3) -> Self {
        let rows = [0, 1, 2].map(|axis| linalg::scale(1.0 / control.spacing_mm[axis], control.directions[axis]));
        Self {
            size: control.size,
            rows: rows.map(|row| row.map(|v| v as f32)),
            shift: control.world_to_voxel(*centre).map(|v| v as f32),
        }
    }

    /// The first of the 4 x 4 x 4 control points of a position, and their weights along each axis.
    #[inline]
    fn cell(&self, p: &[f32; 3]) -> (usize, [[f32; 4]; 3]) {
        let mut first = [0usize; 3];
        let mut weights = [[0.0; 4]; 3];
        for axis in 0..3 {
            let row = &self.rows[axis];
            let u = row[0] * p[0] + row[1] * p[1] + row[2] * p[2] + self.shift[axis];
            // Samples lie inside the fixed box, which the grid covers with its support.
            let u = u.clamp(1.0, self.size[axis] as f32 - 2.001);
            let base = u.floor();
            first[axis] = base as usize - 1;
            weights[axis] = basis(u - base);
        }
        (first[0] + self.size[0] * (first[1] + self.size[1] * first[2]), weights)
    }

    /// Positions with their displacements.
    fn displaced(&self, positions: &[[f32; 3]], coefficients: &[[f32; 3]], moved: &mut Vec<[f32; 3]>) {
        let (nx, nxy) = (self.size[0], self.size[0] * self.size[1]);
        positions
            .par_iter()
            .map(|p| {
                let (first, [wx, wy, wz]) = self.cell(p);
                let mut sum = *p;
                for (k, wz) in wz.iter().enumerate() {
                    for (j, wy) in wy.iter().enumerate() {
                        let row = first + j * nx + k * nxy;
                        let w = wy * wz;
                        for (c, wx) in coefficients[row..row + 4].iter().zip(wx) {
                            let w = w * wx;
                            sum[0] += w * c[0];
                            sum[1] += w * c[1];
                            sum[2] += w * c[2];
                        }
                    }
                }
                sum
            })
            .collect_into_vec(moved);
    }

    /// The gradient over the coefficients (negated: the measure is to rise) from that over the positions.
    fn gather(&self, positions: &[[f32; 3]], pulls: &[[f32; 3]], gradient: &mut [f64]) {
        let (nx, nxy) = (self.size[0], self.size[0] * self.size[1]);
        let n = positions.len().div_ceil(PARTS).max(1);
        let parts: Vec<Vec<[f32; 3]>> = positions
            .par_chunks(n)
            .zip(pulls.par_chunks(n))
            .map(|(positions, pulls)| {
                let mut sums = vec![[0.0f32; 3]; self.size.iter().product()];
                for (p, pull) in positions.iter().zip(pulls) {
                    if pull.iter().all(|v| v.abs() <= 0.0) {
                        continue;
                    }
                    let (first, [wx, wy, wz]) = self.cell(p);
                    for (k, wz) in wz.iter().enumerate() {
                        for (j, wy) in wy.iter().enumerate() {
                            let row = first + j * nx + k * nxy;
                            let w = wy * wz;
                            for (sum, wx) in sums[row..row + 4].iter_mut().zip(wx) {
                                let w = w * wx;
                                sum[0] += w * pull[0];
                                sum[1] += w * pull[1];
                                sum[2] += w * pull[2];
                            }
                        }
                    }
                }
                sums
            })
            .collect();
        gradient.fill(0.0);
        for part in parts {
            for (out, sum) in gradient.iter_mut().zip(part.as_flattened()) {
                *out -= f64::from(*sum);
            }
        }
    }
}

/// Cubic B-spline weights of the control points -1, 0, 1, 2 about the floor of a position.
#[inline]
fn basis(t: f32) -> [f32; 4] {
    let s = 1.0 - t;
    let (w0, w3) = (s * s * s / 6.0, t * t * t / 6.0);
    let w2 = 2.0 / 3.0 - 0.5 * s * s * (1.0 + t);
    [w0, 1.0 - w0 - w2 - w3, w2, w3]
}

/// The bending energy times a weight, its gradient added to `gradient`.
///
/// Pure second differences count once, mixed ones twice, as in the integral of the squared second derivatives.
fn add_bending(control: &Geometry, at: &[f64], weight: f64, gradient: &mut [f64]) -> f64 {
    let [nx, ny, nz] = control.size;
    let stride = [3, 3 * nx, 3 * nx * ny];
    let spacing: f64 = control.spacing_mm[0];
    let scale = weight / (control.n_voxels() as f64 * spacing.powi(4));
    let mut energy = 0.0;
    for (a, b) in [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)] {
        let share = if a == b { 1.0 } else { 2.0 };
        let room = |axis: usize, n: usize| if axis == a || axis == b { 1..n.saturating_sub(1) } else { 0..n };
        for z in room(2, nz) {
            for y in room(1, ny) {
                for x in room(0, nx) {
                    let here = x * stride[0] + y * stride[1] + z * stride[2];
                    let points: [(usize, f64); 4] = if a == b {
                        [(here - stride[a], 1.0), (here, -2.0), (here + stride[a], 1.0), (here, 0.0)]
                    } else {
                        let (sa, sb) = (stride[a], stride[b]);
                        let corners = [here + sa + sb, here + sa - sb, here - sa + sb, here - sa - sb];
                        [(corners[0], 0.25), (corners[1], -0.25), (corners[2], -0.25), (corners[3], 0.25)]
                    };
                    for c in 0..3 {
                        let second: f64 = points.iter().map(|(k, w)| w * at[k + c]).sum();
                        energy += share * second * second;
                        for (k, w) in points {
                            gradient[k + c] += 2.0 * scale * share * second * w;
                        }
                    }
                }
            }
        }
    }
    scale * energy
}

/// The mean squared divergence times a weight, by central differences, its gradient added to `gradient`.
fn add_compression(control: &Geometry, at: &[f64], weight: f64, gradient: &mut [f64]) -> f64 {
    let [nx, ny, nz] = control.size;
    let stride = [3, 3 * nx, 3 * nx * ny];
    let scale = weight / control.n_voxels() as f64;
    // What a coefficient one step along an axis adds to the divergence, component by component.
    let parts = [0, 1, 2].map(|axis| linalg::scale(0.5 / control.spacing_mm[axis], control.directions[axis]));
    let mut energy = 0.0;
    for z in 1..nz.saturating_sub(1) {
        for y in 1..ny.saturating_sub(1) {
            for x in 1..nx.saturating_sub(1) {
                let here = x * stride[0] + y * stride[1] + z * stride[2];
                let terms = || (0..9).map(|k| (here + k % 3, stride[k / 3], parts[k / 3][k % 3]));
                let divergence: f64 = terms().map(|(k, step, part)| part * (at[k + step] - at[k - step])).sum();
                energy += divergence * divergence;
                for (k, step, part) in terms() {
                    let slope = 2.0 * scale * divergence * part;
                    gradient[k + step] += slope;
                    gradient[k - step] -= slope;
                }
            }
        }
    }
    scale * energy
}

/// The field on a grid of nodes over the fixed box.
fn sampled(control: &Geometry, at: &[f64], fixed: &Geometry) -> Option<Displacement> {
    let spacing = control.spacing_mm.map(|s| s / NODES_PER_CONTROL);
    let extent = [0, 1, 2].map(|axis| fixed.size[axis] as f64 * fixed.spacing_mm[axis]);
    let size = [0, 1, 2].map(|axis| (extent[axis] / spacing[axis]).ceil() as usize + 1);
    let grid = Geometry {
        size,
        spacing_mm: spacing,
        origin_mm: fixed.voxel_to_world([-0.5; 3]),
        directions: fixed.directions,
    };
    let middle = grid.centre_mm();
    let spline = Spline::new(control, &middle);
    let positions: Vec<[f32; 3]> = (0..grid.n_voxels())
        .map(|k| [k % size[0], k / size[0] % size[1], k / size[0] / size[1]].map(|i| i as f64))
        .map(|index| linalg::sub(grid.voxel_to_world(index), middle).map(|v| v as f32))
        .collect();
    let coefficients: Vec<[f32; 3]> = at.as_chunks::<3>().0.iter().map(|c| c.map(|v| v as f32)).collect();
    let mut moved = Vec::new();
    spline.displaced(&positions, &coefficients, &mut moved);
    let vectors = positions.iter().zip(&moved).map(|(p, q)| [q[0] - p[0], q[1] - p[1], q[2] - p[2]]).collect();
    Displacement::new(grid, vectors).ok()
}

/// The range of the Jacobian determinant over a mask, and the share of it where it is not positive.
fn jacobian(field: &Displacement, body: &Mask) -> Option<((f64, f64), f64)> {
    let values: Vec<f64> = body
        .voxels
        .indexed_iter()
        .filter(|(_, inside)| **inside)
        .map(|((z, y, x), _)| {
            let point = body.geometry.voxel_to_world([x as f64, y as f64, z as f64]);
            linalg::determinant(&field.linear_at(point))
        })
        .collect();
    let range = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
    let folded = values.iter().filter(|v| **v <= 0.0).count() as f64;
    (!values.is_empty()).then(|| (range, folded / values.len() as f64))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ct, image, pair, pet};
    use super::*;
    use crate::image::{Interpolation, Transform, Volume, resample};

    /// A smooth field of up to 8 mm.
    fn field(p: Vec3) -> Vec3 {
        let near = |c: Vec3, sigma: f64| (-0.5 * (linalg::norm(linalg::sub(p, c)) / sigma).powi(2)).exp();
        let (a, b) = (near([-15.0, -20.0, 350.0], 25.0), near([30.0, 5.0, 370.0], 25.0));
        [8.0 * a - 3.0 * b, -2.0 * a + 5.0 * b, 3.0 * a - 4.0 * b]
    }

    #[test]
    fn a_deformation_of_eight_millimetres_between_two_contrasts_is_found_and_does_not_fold() {
        let fixed = image(&Affine::IDENTITY, ct);
        // moving(y) = anatomy(x) with y = x + d(x): sampled through the inverse on a fine grid of vectors.
        let still = image(&Affine::IDENTITY, pet);
        let dense = still.geometry;
        let vectors = |grid: &Geometry| {
            (0..grid.n_voxels())
                .map(|k| {
                    let [nx, ny, _] = grid.size;
                    let index = [k % nx, k / nx % ny, k / nx / ny].map(|i| i as f64);
                    field(grid.voxel_to_world(index)).map(|v| v as f32)
                })
                .collect::<Vec<_>>()
        };
        let forth = Displacement::new(dense, vectors(&dense)).unwrap();
        let moving: Volume<f32> =
            resample(&still, &dense, &Transform::Displacement(forth.inverse()), Interpolation::Cubic);
        let pair = pair(&fixed, &moving);
        let settings = Estimation { n_samples_bending: 120_000, ..Estimation::default() };
        let pyramid = Pyramid::bending(&pair, &settings).unwrap();
        let found = deform(&pyramid, &Affine::IDENTITY, &settings).unwrap();
        assert!(found.jacobian.0 > 0.0 && found.folded_share <= 0.0, "{:?}", found.jacobian);
        let finest = pyramid.levels.last().unwrap();
        let (mut before, mut after, mut n) = (0.0, 0.0, 0.0);
        for ((z, y, x), inside) in finest.fixed_body.voxels.indexed_iter() {
            let p = finest.fixed.geometry.voxel_to_world([x as f64, y as f64, z as f64]);
            let truth = field(p);
            let off = linalg::sub(found.displacement.at(p), truth);
            if *inside && off[0].is_finite() {
                before += linalg::norm(truth);
                after += linalg::norm(off);
                n += 1.0;
            }
        }
        let (before, after) = (before / n, after / n);
        assert!(after < 1.5 && after < 0.5 * before, "{after} of {before}");
    }

    #[test]
    fn bending_and_compression_have_the_gradients_that_differences_of_them_show() {
        let turned = linalg::rotation([0.2, -0.3, 0.4]);
        let control = Geometry::new([5, 4, 6], [10.0; 3], [0.0; 3], turned).unwrap();
        let at: Vec<f64> = (0..3 * control.n_voxels()).map(|k| ((k * 7919) % 13) as f64 - 6.0).collect();
        for cost in [add_bending, add_compression] {
            let mut gradient = vec![0.0; at.len()];
            cost(&control, &at, 3.0, &mut gradient);
            for k in [0, 17, 100, 200, at.len() - 1] {
                let energy = |by: f64| {
                    let mut moved = at.clone();
                    moved[k] += by;
                    cost(&control, &moved, 3.0, &mut vec![0.0; at.len()])
                };
                let slope = (energy(1e-3) - energy(-1e-3)) / 2e-3;
                assert!((slope - gradient[k]).abs() < 1e-6 * (1.0 + slope.abs()), "{k}: {slope} {}", gradient[k]);
            }
        }
        // A rotation (here of small angle) does not compress.
        let spin: Vec<f64> = (0..control.n_voxels())
            .flat_map(|k| {
                linalg::cross([0.1, 0.2, -0.1], control.voxel_to_world([k % 5, k / 5 % 4, k / 20].map(|i| i as f64)))
            })
            .collect();
        assert!(add_compression(&control, &spin, 1.0, &mut vec![0.0; at.len()]).abs() < 1e-20);
        // A field that is linear in the position costs nothing.
        let linear: Vec<f64> =
            (0..control.n_voxels()).flat_map(|k| [k % 5, k / 5 % 4, k / 20].map(|i| i as f64)).collect();
        assert!(add_bending(&control, &linear, 1.0, &mut vec![0.0; at.len()]).abs() < 1e-20);
    }

    #[test]
    fn the_gradient_over_the_control_points_is_that_of_the_measure() {
        let (fixed, moving) = (image(&Affine::IDENTITY, ct), image(&Affine::translation([2.0, 1.0, 0.0]), pet));
        let pair = pair(&fixed, &moving);
        let settings = Estimation { n_samples: 20_000, ..Estimation::default() };
        let pyramid = Pyramid::new(&pair, &settings).unwrap();
        let level = pyramid.levels.last().unwrap();
        let control = control_grid(&level.fixed.geometry, 20.0);
        let spline = Spline::new(&control, &level.samples.centre);
        let measure = Measure::new(&level.samples, &level.binned, Similarity::Nmi);
        let (mut scratch, mut pulls, mut moved) = (Scratch::default(), Vec::new(), Vec::new());
        let mut value = |c: &[[f32; 3]], gradient: &mut [f64]| {
            spline.displaced(level.samples.positions(), c, &mut moved);
            // Beside the voxel centres, where trilinear interpolation has a kink.
            let beside = Affine::translation([0.7, -0.6, 0.9]);
            let value = measure.value_and_pulls(&beside, &moved, &mut scratch, &mut pulls);
            spline.gather(level.samples.positions(), &pulls, gradient);
            value.nmi
        };
        let still = vec![[0.0f32; 3]; control.n_voxels()];
        let mut gradient = vec![0.0; 3 * still.len()];
        value(&still, &mut gradient);
        let steepest = (0..gradient.len()).max_by(|a, b| gradient[*a].abs().total_cmp(&gradient[*b].abs())).unwrap();
        let mut along = |by: f32| {
            let mut c = still.clone();
            c[steepest / 3][steepest % 3] += by;
            value(&c, &mut vec![0.0; gradient.len()])
        };
        let slope = (along(0.1) - along(-0.1)) / 0.2;
        assert!((slope + gradient[steepest]).abs() < 0.05 * slope.abs(), "{slope} {}", gradient[steepest]);
    }
}
