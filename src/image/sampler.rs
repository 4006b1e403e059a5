//! Values of a volume between its voxel centres.
//!
//! Positions are held as fixed-point numbers with 40 binary digits behind the point, and fractions are rounded to 24
//! digits, so that a position that is a voxel centre but for rounding noise *is* that centre: its value comes back
//! exactly, whatever its neighbours hold. The error of a position is below 1e-9 voxels along a row, that of a fraction
//! below 3e-8.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap
)]
// Indices are checked against the grid before they are narrowed; sizes are far below 2^23.

use ndarray::parallel::prelude::*;
use ndarray::{Array3, ArrayView3, Axis, CowArray, Ix3, Slice};

use super::{Interpolation, Region, Volume};
use crate::math::interpolate::{SINC_REACH, bspline_prefilter, sinc_weights};
use crate::math::linalg::Vec3;

/// Binary digits behind the point of a position.
const POINT: u32 = 40;
const ONE: i64 = 1 << POINT;
/// Half of the last digit of a fraction: added before the digits are cut.
const ROUND: i64 = 1 << (POINT - 25);

/// How far beyond the field of view a position may lie and still count as on its edge, in voxels: rounding noise.
const EDGE_TOLERANCE: f64 = 1e-6;

/// A volume that can be asked for its value at any position of its own continuous index space.
///
/// Positions up to half a voxel beyond the outermost centres belong to the field of view and have the value at its edge;
/// what lies further out is missing (NaN). A value that any missing voxel has a share in is missing.
pub(super) struct Sampler<'a> {
    values: CowArray<'a, f32, Ix3>,
    size: [usize; 3],
    kind: Kind,
}

enum Kind {
    Nearest,
    Linear,
    Cubic(Coefficients),
    Sinc(Coefficients, SincTable),
}

/// B-spline coefficients of a part of the volume, or its samples as they are.
struct Coefficients {
    values: Array3<f32>,
    start: [usize; 3],
    /// Whether a voxel of the part is missing: each value then looks at its neighbours.
    any_missing: bool,
}

/// A straight line of positions: `start + x step` for x = 0, 1, 2 …, in voxels of the source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub start: Vec3,
    pub step: Vec3,
}

/// A position in fixed point.
type Position = [i64; 3];

impl<'a> Sampler<'a> {
    /// Prepares a volume; only positions inside `region` will be asked for. Cubic interpolation filters that region once.
    pub fn new(source: &'a Volume<f32>, interpolation: Interpolation, region: Region) -> Self {
        let values = source.voxels.as_standard_layout();
        let kind = match interpolation {
            Interpolation::Nearest => Kind::Nearest,
            Interpolation::Linear => Kind::Linear,
            Interpolation::Cubic => Kind::Cubic(Coefficients::splines(values.view(), region)),
            Interpolation::Sinc => Kind::Sinc(Coefficients::samples(values.view(), region), SincTable::new()),
        };
        Self { values, size: source.geometry.size, kind }
    }

    /// The value at a continuous index (x, y, z).
    pub fn at(&self, index: Vec3) -> f32 {
        let inside = (0..3).all(|axis| {
            let limit = self.size[axis] as f64 - 0.5 + EDGE_TOLERANCE;
            index[axis] >= -0.5 - EDGE_TOLERANCE && index[axis] <= limit
        });
        if inside { self.at_fixed(index.map(fixed)) } else { f32::NAN }
    }

    /// Fills a row with the values along a line.
    pub fn fill(&self, row: &mut [f32], line: Line) {
        let (first, last) = self.field_of_view(line, row.len());
        row[..first].fill(f32::NAN);
        row[last..].fill(f32::NAN);
        if first >= last {
            return;
        }
        let start: Position = [0, 1, 2].map(|axis| fixed(line.start[axis] + line.step[axis] * first as f64));
        let step: Position = line.step.map(fixed);
        let row = &mut row[first..last];
        let (inner_first, inner_last) = self.interior(start, step, row.len());
        for x in (0..inner_first).chain(inner_last..row.len()) {
            row[x] = self.at_fixed(advance(start, step, x));
        }
        let inner = &mut row[inner_first..inner_last];
        let start = advance(start, step, inner_first);
        match &self.kind {
            Kind::Nearest => self.fill_nearest(inner, start, step),
            Kind::Linear => self.fill_linear(inner, start, step),
            Kind::Cubic(coefficients) => self.fill_smooth(inner, start, step, coefficients, weights),
            Kind::Sinc(samples, table) => self.fill_smooth(inner, start, step, samples, |t| table.weights(t)),
        }
    }

    /// Which part of a row of `n` positions lies in the field of view.
    fn field_of_view(&self, line: Line, n: usize) -> (usize, usize) {
        let (mut first, mut last) = (0.0f64, n as f64 - 1.0);
        for axis in 0..3 {
            let low = -0.5 - EDGE_TOLERANCE - line.start[axis];
            let high = self.size[axis] as f64 - 0.5 + EDGE_TOLERANCE - line.start[axis];
            let step = line.step[axis];
            // Less than a hundredth of the edge tolerance over a row of a million voxels.
            if step.abs() < 1e-14 {
                if low > 0.0 || high < 0.0 {
                    return (0, 0);
                }
                continue;
            }
            let (near, far) = if step > 0.0 { (low / step, high / step) } else { (high / step, low / step) };
            first = first.max(near.ceil());
            last = last.min(far.floor());
        }
        if first <= last { (first as usize, last as usize + 1) } else { (0, 0) }
    }

    /// Which part of a row inside the field of view has all its neighbours inside the grid.
    fn interior(&self, start: Position, step: Position, n: usize) -> (usize, usize) {
        let (mut first, mut last) = (0i64, n as i64 - 1);
        for axis in 0..3 {
            let (origin, size) = match &self.kind {
                Kind::Cubic(c) | Kind::Sinc(c, _) => (c.start[axis], c.size()[axis]),
                _ => (0, self.size[axis]),
            };
            let (below, above) = match self.kind {
                Kind::Nearest => (0, 0),
                Kind::Linear => (0, 1),
                Kind::Cubic(_) => (1, 2),
                Kind::Sinc(..) => (SINC_REACH - 1, SINC_REACH),
            };
            // floor(p + ROUND) - below >= origin and floor(p + ROUND) + above <= origin + size - 1
            let mut low = ((origin + below) as i64 * ONE) - ROUND;
            let mut high = (origin + size) as i64 * ONE - above as i64 * ONE - ROUND - 1;
            if matches!(self.kind, Kind::Nearest) {
                low -= ONE / 2 - ROUND;
                high -= ONE / 2 - ROUND;
            }
            let (near, far) = match step[axis] {
                0 if start[axis] < low || start[axis] > high => return (0, 0),
                0 => continue,
                s if s > 0 => (div_ceil(low - start[axis], s), (high - start[axis]).div_euclid(s)),
                s => (div_ceil(start[axis] - high, -s), (start[axis] - low).div_euclid(-s)),
            };
            first = first.max(near);
            last = last.min(far);
        }
        if first <= last { (first as usize, last as usize + 1) } else { (0, 0) }
    }

    fn flat(&self) -> &[f32] {
        self.values.as_slice().unwrap_or(&[])
    }

    fn fill_nearest(&self, row: &mut [f32], start: Position, step: Position) {
        let (values, nx, nxy) = (self.flat(), self.size[0], self.size[0] * self.size[1]);
        let mut at = start.map(|p| p + ONE / 2);
        for value in row {
            let [x, y, z] = at.map(|p| (p >> POINT) as usize);
            *value = values[z * nxy + y * nx + x];
            at = advance(at, step, 1);
        }
    }

    fn fill_linear(&self, row: &mut [f32], start: Position, step: Position) {
        let (values, nx, nxy) = (self.flat(), self.size[0], self.size[0] * self.size[1]);
        // The four lines of a cell in slices of one length: one check of the bounds serves them all.
        let n = values.len().saturating_sub(nxy + nx);
        let [a, b, c, d] = [0, nx, nxy, nxy + nx].map(|first| values.get(first..first + n).unwrap_or_default());
        let mut at = start;
        for value in row {
            let ([x, y, z], [tx, ty, tz]) = split(at);
            let corner = z * nxy + y * nx + x;
            let along = |line: &[f32]| match line.get(corner..corner + 2) {
                Some([first, second]) => first + tx * (second - first),
                _ => f32::NAN,
            };
            let (a, b, c, d) = (along(a), along(b), along(c), along(d));
            let (near, far) = (a + ty * (b - a), c + ty * (d - c));
            let sum = near + tz * (far - near);
            // A missing neighbour may have no share in the value: look closer.
            *value = if sum.is_finite() { sum } else { self.linear_at(at) };
            at = advance(at, step, 1);
        }
    }

    /// Sums over `N` neighbours along each axis, all of which are there.
    fn fill_smooth<const N: usize>(
        &self,
        row: &mut [f32],
        start: Position,
        step: Position,
        coefficients: &Coefficients,
        weights: impl Fn(f32) -> [f32; N],
    ) {
        if coefficients.any_missing {
            for (x, value) in row.iter_mut().enumerate() {
                *value = self.at_fixed(advance(start, step, x));
            }
            return;
        }
        let Some(c) = coefficients.values.as_slice() else { return };
        let [nx, ny, _] = coefficients.size();
        let [ox, oy, oz] = coefficients.start;
        let before = N / 2 - 1;
        let mut at = start;
        for value in row {
            let ([x, y, z], [tx, ty, tz]) = split(at);
            if tx + ty + tz > 0.0 {
                let first = ((z - oz - before) * ny + (y - oy - before)) * nx + (x - ox - before);
                *value = smooth_sum(&c[first..], nx, nx * ny, [weights(tx), weights(ty), weights(tz)]);
            } else {
                *value = self.voxel([x, y, z]);
            }
            at = advance(at, step, 1);
        }
    }

    /// The value at a position of the field of view, by the slow path that knows about edges and missing voxels.
    fn at_fixed(&self, at: Position) -> f32 {
        let at = [0, 1, 2].map(|axis| at[axis].clamp(0, (self.size[axis] as i64 - 1) * ONE));
        match &self.kind {
            Kind::Nearest => self.voxel(at.map(|p| ((p + ONE / 2) >> POINT) as usize)),
            Kind::Linear => self.linear_at(at),
            Kind::Cubic(coefficients) => self.smooth_at(at, coefficients, weights),
            Kind::Sinc(samples, table) => self.smooth_at(at, samples, |t| table.weights(t)),
        }
    }

    fn voxel(&self, [x, y, z]: [usize; 3]) -> f32 {
        let value = self.values[[z, y, x]];
        if value.is_finite() { value } else { f32::NAN }
    }

    fn linear_at(&self, at: Position) -> f32 {
        let (index, t) = split(at);
        let mut lines = [[0.0f32; 2]; 2];
        for (dz, plane) in lines.iter_mut().enumerate() {
            for (dy, line) in plane.iter_mut().enumerate() {
                let pair = [0, 1].map(|dx| self.neighbour(index, [dx, dy, dz], t));
                *line = mix(pair, t[0]);
            }
        }
        mix(lines.map(|plane| mix(plane, t[1])), t[2])
    }

    /// A neighbour's value; anything finite where it has no share.
    fn neighbour(&self, index: [usize; 3], step: [usize; 3], t: [f32; 3]) -> f32 {
        let has_share = (0..3).all(|axis| step[axis] == 0 || t[axis] > 0.0);
        if has_share { self.voxel([0, 1, 2].map(|axis| index[axis] + step[axis])) } else { 0.0 }
    }

    fn smooth_at<const N: usize>(
        &self,
        at: Position,
        coefficients: &Coefficients,
        weights: impl Fn(f32) -> [f32; N],
    ) -> f32 {
        let (index, t) = split(at);
        if t[0] + t[1] + t[2] <= 0.0 {
            return self.voxel(index);
        }
        if coefficients.any_missing && self.linear_at(at).is_nan() {
            return f32::NAN;
        }
        let size = coefficients.size();
        let taps: [[usize; N]; 3] = [0, 1, 2].map(|axis| {
            let first = index[axis] as i64 - coefficients.start[axis] as i64 - (N as i64 / 2 - 1);
            std::array::from_fn(|k| mirror(first + k as i64, size[axis]))
        });
        let [wx, wy, wz] = [weights(t[0]), weights(t[1]), weights(t[2])];
        let mut sum = 0.0;
        for (z, wz) in taps[2].iter().zip(wz) {
            for (y, wy) in taps[1].iter().zip(wy) {
                let line: f32 = taps[0].iter().zip(wx).map(|(x, w)| w * coefficients.values[[*z, *y, *x]]).sum();
                sum += wz * wy * line;
            }
        }
        sum
    }
}

impl Coefficients {
    /// What a spline through the samples is made of.
    fn splines(values: ArrayView3<'_, f32>, region: Region) -> Self {
        let mut part = Self::samples(values, region);
        prefilter(&mut part.values);
        part
    }

    /// The samples themselves, with something harmless where they are missing.
    fn samples(values: ArrayView3<'_, f32>, region: Region) -> Self {
        let mut part = region.slice(values).to_owned();
        let any_missing = part.axis_iter(Axis(0)).into_par_iter().any(|plane| plane.iter().any(|v| !v.is_finite()));
        if any_missing {
            for axis in [2, 1, 0] {
                extend_into_missing(&mut part, Axis(axis));
            }
        }
        Self { values: part, start: region.start, any_missing }
    }

    fn size(&self) -> [usize; 3] {
        let (z, y, x) = self.values.dim();
        [x, y, z]
    }
}

/// Filters along x, y and z, in double precision along each line.
fn prefilter(values: &mut Array3<f32>) {
    values.axis_iter_mut(Axis(0)).into_par_iter().for_each(|mut plane| {
        let (ny, nx) = plane.dim();
        // Lines side by side, so that the serial recursion fills the processor's lanes.
        for y in (0..ny).step_by(16) {
            let rows = plane.slice_axis_mut(Axis(0), Slice::from(y..(y + 16).min(ny)));
            filter_along_first(rows.reversed_axes());
        }
        for x in (0..nx).step_by(64) {
            filter_along_first(plane.slice_axis_mut(Axis(1), Slice::from(x..(x + 64).min(nx))));
        }
    });
    values.axis_iter_mut(Axis(1)).into_par_iter().for_each(|mut plane| {
        let nx = plane.dim().1;
        for x in (0..nx).step_by(64) {
            filter_along_first(plane.slice_axis_mut(Axis(1), Slice::from(x..(x + 64).min(nx))));
        }
    });
}

fn filter_along_first(mut block: ndarray::ArrayViewMut2<'_, f32>) {
    let width = block.dim().1;
    let mut work: Vec<f64> = block.iter().map(|v| f64::from(*v)).collect();
    bspline_prefilter(&mut work, width);
    for (value, filtered) in block.iter_mut().zip(work) {
        *value = filtered as f32;
    }
}

/// Gives each missing voxel the value of the nearest one that is there on its line, so that the spline filter has something
/// harmless to work on; the values themselves are never given out.
fn extend_into_missing(values: &mut Array3<f32>, axis: Axis) {
    for mut line in values.lanes_mut(axis) {
        let n = line.len();
        let present: Vec<usize> = (0..n).filter(|k| line[*k].is_finite()).collect();
        if present.is_empty() {
            continue;
        }
        let mut next = 0;
        for k in 0..n {
            if line[k].is_finite() {
                continue;
            }
            while next + 1 < present.len() && present[next + 1].abs_diff(k) < present[next].abs_diff(k) {
                next += 1;
            }
            line[k] = line[present[next]];
        }
    }
    if axis == Axis(0) {
        values.mapv_inplace(|v| if v.is_finite() { v } else { 0.0 });
    }
}

/// The weights of a windowed sinc at many fractions; linear between them, which is within two in a million.
struct SincTable(Vec<[f32; 2 * SINC_REACH]>);

impl SincTable {
    const STEPS: u16 = 1024;

    fn new() -> Self {
        let row = |k: u16| sinc_weights(f64::from(k) / f64::from(Self::STEPS)).map(|weight| weight as f32);
        Self((0..=Self::STEPS).map(row).collect())
    }

    #[inline]
    fn weights(&self, t: f32) -> [f32; 2 * SINC_REACH] {
        let at = t * f32::from(Self::STEPS);
        let k = (at as usize).min(usize::from(Self::STEPS) - 1);
        let (low, high, share) = (&self.0[k], &self.0[k + 1], at - k as f32);
        std::array::from_fn(|i| low[i] + share * (high[i] - low[i]))
    }
}

/// The sum of N x N x N coefficients, x fastest.
#[inline]
fn smooth_sum<const N: usize>(c: &[f32], stride_y: usize, stride_z: usize, [wx, wy, wz]: [[f32; N]; 3]) -> f32 {
    let mut planes = [0.0f32; N];
    for (k, wz) in wz.iter().enumerate() {
        let mut plane = [0.0f32; N];
        for (j, wy) in wy.iter().enumerate() {
            let first = k * stride_z + j * stride_y;
            for (lane, value) in plane.iter_mut().zip(&c[first..first + N]) {
                *lane += wy * value;
            }
        }
        for (lane, value) in planes.iter_mut().zip(plane) {
            *lane += wz * value;
        }
    }
    // Two by two, as the cubic weights pair up.
    wx.as_chunks::<2>().0.iter().zip(planes.as_chunks::<2>().0).map(|(w, p)| w[0] * p[0] + w[1] * p[1]).sum()
}

/// B-spline weights in single precision whose sum is one.
#[inline]
fn weights(t: f32) -> [f32; 4] {
    let s = 1.0 - t;
    let (t2, s2) = (t * t, s * s);
    let w0 = s2 * s * (1.0 / 6.0);
    let w3 = t2 * t * (1.0 / 6.0);
    let w2 = (2.0 / 3.0) - 0.5 * s2 * (1.0 + t);
    [w0, 1.0 - w0 - w2 - w3, w2, w3]
}

#[inline]
fn split(at: Position) -> ([usize; 3], [f32; 3]) {
    let at = at.map(|p| p + ROUND);
    let fraction = |p: i64| ((p >> (POINT - 24)) & 0x00FF_FFFF) as i32 as f32 * (1.0 / 16_777_216.0);
    (at.map(|p| (p >> POINT) as usize), at.map(fraction))
}

fn mix(pair: [f32; 2], t: f32) -> f32 {
    if t > 0.0 { pair[0] + t * (pair[1] - pair[0]) } else { pair[0] }
}

fn fixed(index: f64) -> i64 {
    (index * ONE as f64).round() as i64
}

#[inline]
fn advance(at: Position, step: Position, n: usize) -> Position {
    [0, 1, 2].map(|axis| at[axis] + step[axis] * n as i64)
}

fn div_ceil(a: i64, b: i64) -> i64 {
    -(-a).div_euclid(b)
}

/// The sample that stands for index `k` when the signal is mirrored at its outermost samples.
fn mirror(k: i64, n: usize) -> usize {
    if n == 1 {
        return 0;
    }
    let period = 2 * n as i64 - 2;
    let k = k.rem_euclid(period);
    k.min(period - k) as usize
}
