//! Image and region on a new grid along the same axes (IBSI 2.4).
//!
//! The new grid has ceil(n d / d') voxels along each axis and shares its centre (or, where that is asked for, its corner) with the old one. Since axes stay parallel,
//! interpolation is a product of three one-dimensional ones; only the block that is asked for is computed, from the part
//! of the image that it needs.

use ndarray::{Array3, Axis};
use rayon::prelude::*;

use super::GridAlign;
use super::roi::BoundingBox;
use crate::image::{Geometry, GeometryError, Interpolation};
use crate::math::interpolate::{SINC_REACH, sinc_weights};

/// Share of a voxel that a size may miss the next integer by: spacings such as 2.9999999 mm are meant as 3.
const SIZE_TOLERANCE: f64 = 1e-4;

/// What rounding may take from an interpolated share of the region: 0.4999999 is one half.
pub(super) const SHARE_TOLERANCE: f64 = 1e-6;

/// Samples beyond the block that the recursive B-spline prefilter needs: its memory fades as 0.268^n, below 1e-9 here.
pub(super) const SPLINE_MARGIN: usize = 16;

/// The grid of this spacing.
pub(super) fn target_grid(old: &Geometry, spacing_mm: [f64; 3], align: GridAlign) -> Result<Geometry, GeometryError> {
    let size = [0, 1, 2].map(|axis| {
        let n = (old.size[axis] as f64 * old.spacing_mm[axis] / spacing_mm[axis] - SIZE_TOLERANCE).ceil();
        n.clamp(1.0, 1e9) as usize
    });
    let first = [0, 1, 2].map(|axis| old_index(old, (size[axis], spacing_mm[axis], align), axis, 0));
    Geometry::new(size, spacing_mm, old.voxel_to_world(first), old.directions)
}

/// Where voxel `index` of an axis of the new grid lies, in voxels of the old one.
fn old_index(
    old: &Geometry,
    (new_size, new_spacing_mm, align): (usize, f64, GridAlign),
    axis: usize,
    index: usize,
) -> f64 {
    if align == GridAlign::Corner {
        return (index as f64 + 0.5) * new_spacing_mm / old.spacing_mm[axis] - 0.5;
    }
    let from_centre = index as f64 - (new_size as f64 - 1.0) / 2.0;
    (old.size[axis] as f64 - 1.0) / 2.0 + from_centre * new_spacing_mm / old.spacing_mm[axis]
}

/// The box of the new grid whose voxels can be touched by the region in `bounds` of the old grid.
pub(super) fn touched(old: &Geometry, new: &Geometry, bounds: &BoundingBox, align: GridAlign) -> BoundingBox {
    let at = |axis: usize, index: f64| {
        if align == GridAlign::Corner {
            return (index + 0.5) * old.spacing_mm[axis] / new.spacing_mm[axis] - 0.5;
        }
        let from_centre = (index - (old.size[axis] as f64 - 1.0) / 2.0) * old.spacing_mm[axis] / new.spacing_mm[axis];
        from_centre + (new.size[axis] as f64 - 1.0) / 2.0
    };
    BoundingBox {
        first: [0, 1, 2].map(|axis| {
            let i = at(axis, bounds.first[axis] as f64 - 1.0).floor().max(0.0) as usize;
            i.min(new.size[axis] - 1)
        }),
        last: [0, 1, 2].map(|axis| {
            let i = at(axis, bounds.last[axis] as f64 + 1.0).ceil().max(0.0) as usize;
            i.min(new.size[axis] - 1)
        }),
    }
}

/// What can be interpolated: intensities, and the share of a voxel that a region covers.
pub(super) trait Sample: Copy {
    /// The sample as a number.
    fn value(self) -> f64;
}

impl Sample for f32 {
    fn value(self) -> f64 {
        f64::from(self)
    }
}

impl Sample for bool {
    fn value(self) -> f64 {
        f64::from(u8::from(self))
    }
}

/// Interpolates the block `wanted` of grid `new` from an image on grid `old`.
///
/// Points between the outermost centres and the edge of the field of view take the value at the outermost centre. A value
/// that needs a missing (NaN) sample is missing.
pub(super) fn regrid<T: Sample>(
    image: &Array3<T>,
    old: &Geometry,
    new: &Geometry,
    wanted: &BoundingBox,
    (interpolation, align): (Interpolation, GridAlign),
) -> Array3<f64> {
    let mut taps: [Vec<Tap>; 3] = [0, 1, 2].map(|axis| {
        (wanted.first[axis]..=wanted.last[axis])
            .map(|i| {
                let at = old_index(old, (new.size[axis], new.spacing_mm[axis], align), axis, i);
                Tap::at(at, old.size[axis], interpolation)
            })
            .collect()
    });
    let margin = if interpolation == Interpolation::Cubic { SPLINE_MARGIN } else { 0 };
    let needed = BoundingBox {
        first: [0, 1, 2].map(|a| taps[a].iter().map(|t| t.first()).min().unwrap_or(0).saturating_sub(margin)),
        last: [0, 1, 2]
            .map(|a| (taps[a].iter().map(|t| t.last(old.size[a])).max().unwrap_or(0) + margin).min(old.size[a] - 1)),
    };
    for (axis, list) in taps.iter_mut().enumerate() {
        for tap in list {
            tap.start -= needed.first[axis] as isize;
        }
    }
    let mut block = needed.cut(image).mapv(T::value);
    if interpolation == Interpolation::Cubic {
        prefilter(&mut block);
    }
    // The axis that shrinks the data most would be the best first; z before y before x keeps lines of x contiguous.
    let block = along(&block, Axis(0), &taps[2]);
    let block = along(&block, Axis(1), &taps[1]);
    along(&block, Axis(2), &taps[0])
}

/// The most samples that an interpolation takes along an axis.
const TAPS_MAX: usize = 2 * SINC_REACH;

/// The samples that one new index is a weighted sum of.
struct Tap {
    /// The first sample; may lie before the first of the axis, from where it is mirrored in.
    start: isize,
    weights: [f64; TAPS_MAX],
    count: usize,
}

impl Tap {
    fn at(index: f64, size: usize, interpolation: Interpolation) -> Self {
        let index = index.clamp(0.0, size as f64 - 1.0);
        // An index that rounding moved off a sample is put back: the sample itself is meant.
        let nearest = index.round();
        let index = if (index - nearest).abs() < 1e-9 { nearest } else { index };
        let below = index.floor();
        let t = index - below;
        let (start, weights, count) = match interpolation {
            // Halfway goes up, as a rule that both neighbours share.
            Interpolation::Nearest => ((index + 0.5).floor() as isize, first_of([1.0]), 1),
            Interpolation::Linear | Interpolation::Sinc if t <= 0.0 => (below as isize, first_of([1.0]), 1),
            Interpolation::Linear => (below as isize, first_of([1.0 - t, t]), 2),
            Interpolation::Cubic => {
                let u = 1.0 - t;
                let weights = [
                    u * u * u / 6.0,
                    2.0 / 3.0 - t * t * (2.0 - t) / 2.0,
                    2.0 / 3.0 - u * u * (2.0 - u) / 2.0,
                    t * t * t / 6.0,
                ];
                (below as isize - 1, first_of(weights), 4)
            }
            Interpolation::Sinc => (below as isize + 1 - SINC_REACH as isize, sinc_weights(t), TAPS_MAX),
        };
        let start = if interpolation == Interpolation::Nearest { start.min(size as isize - 1) } else { start };
        Self { start, weights, count }
    }

    fn first(&self) -> usize {
        usize::try_from(self.start).unwrap_or(0)
    }

    fn last(&self, size: usize) -> usize {
        usize::try_from(self.start + self.count as isize - 1).unwrap_or(0).min(size - 1)
    }
}

/// Some weights, and zeros after them.
fn first_of<const N: usize>(weights: [f64; N]) -> [f64; TAPS_MAX] {
    std::array::from_fn(|k| weights.get(k).copied().unwrap_or(0.0))
}

/// The index of a sample on an axis that is mirrored at its outermost samples.
fn mirrored(index: isize, size: usize) -> usize {
    let last = size as isize - 1;
    if last == 0 {
        return 0;
    }
    let folded = index.rem_euclid(2 * last);
    folded.min(2 * last - folded) as usize
}

/// Weighted sums along one axis.
fn along(block: &Array3<f64>, axis: Axis, taps: &[Tap]) -> Array3<f64> {
    let size = block.len_of(axis);
    let mut shape = [block.dim().0, block.dim().1, block.dim().2];
    shape[axis.index()] = taps.len();
    let mut out = Array3::zeros(shape);
    if axis.index() == 0 {
        out.outer_iter_mut().into_par_iter().zip(taps).for_each(|(mut plane, tap)| {
            for (k, weight) in tap.weights[..tap.count].iter().enumerate() {
                plane.scaled_add(*weight, &block.index_axis(Axis(0), mirrored(tap.start + k as isize, size)));
            }
        });
        return out;
    }
    out.outer_iter_mut().into_par_iter().zip(block.outer_iter().into_par_iter()).for_each(|(mut to, from)| {
        if axis.index() == 1 {
            for (mut row, tap) in to.outer_iter_mut().zip(taps) {
                for (k, weight) in tap.weights[..tap.count].iter().enumerate() {
                    row.scaled_add(*weight, &from.row(mirrored(tap.start + k as isize, size)));
                }
            }
        } else {
            for (mut row, source) in to.outer_iter_mut().zip(from.outer_iter()) {
                for (value, tap) in row.iter_mut().zip(taps) {
                    let sum = |sum: f64, (k, weight): (usize, &f64)| {
                        sum + weight * source[mirrored(tap.start + k as isize, size)]
                    };
                    *value = tap.weights[..tap.count].iter().enumerate().fold(0.0, sum);
                }
            }
        }
    });
    out
}

/// Turns samples into cubic B-spline coefficients along every axis, mirrored at the outermost samples.
///
/// M. Unser, A. Aldroubi, M. Eden, IEEE Trans. Signal Process. 41 (1993) 821: one causal and one anticausal recursion with
/// the pole sqrt(3) - 2.
fn prefilter(block: &mut Array3<f64>) {
    for axis in 0..3 {
        if block.len_of(Axis(axis)) < 2 {
            continue;
        }
        if axis == 0 {
            let mut lines: Vec<_> = block.lanes_mut(Axis(0)).into_iter().collect();
            lines.par_chunks_mut(256).for_each(|chunk| {
                let mut line = Vec::new();
                for lane in chunk {
                    line.clear();
                    line.extend(lane.iter().copied());
                    spline_coefficients(&mut line);
                    lane.iter_mut().zip(&line).for_each(|(v, c)| *v = *c);
                }
            });
            continue;
        }
        block.outer_iter_mut().into_par_iter().for_each(|mut plane| {
            let mut line = Vec::new();
            for mut lane in plane.lanes_mut(Axis(axis - 1)) {
                line.clear();
                line.extend(lane.iter().copied());
                spline_coefficients(&mut line);
                lane.iter_mut().zip(&line).for_each(|(v, c)| *v = *c);
            }
        });
    }
}

/// Replaces samples by the coefficients of the interpolating cubic B-spline.
fn spline_coefficients(line: &mut [f64]) {
    let pole = 3f64.sqrt() - 2.0;
    let n = line.len();
    if n < 2 {
        return;
    }
    // Gain 6 makes the two recursions invert the kernel 1/6, 4/6, 1/6.
    line.iter_mut().for_each(|v| *v *= 6.0);
    // The infinite mirrored past, summed until the pole has faded or one whole period is through.
    let horizon = n.min(40);
    let mut power = pole;
    let mut past = line[0];
    if horizon < n {
        for value in &line[1..horizon] {
            past += power * value;
            power *= pole;
        }
    } else {
        let last = pole.powi(n as i32 - 1);
        past += last * line[n - 1];
        let mut back = last * last / pole;
        for value in &line[1..n - 1] {
            past += (power + back) * value;
            power *= pole;
            back /= pole;
        }
        past /= 1.0 - last * last;
    }
    line[0] = past;
    for i in 1..n {
        line[i] += pole * line[i - 1];
    }
    line[n - 1] = pole / (pole * pole - 1.0) * (line[n - 1] + pole * line[n - 2]);
    for i in (0..n - 1).rev() {
        line[i] = pole * (line[i + 1] - line[i]);
    }
}
