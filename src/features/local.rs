//! Local and global intensity peak (IBSI 3.2, 9ST6): means over a sphere of 1 cm3.
//!
//! The sphere holds the voxels whose centres are within 6.2 mm of the centre voxel's; the image around the region counts
//! too, voxels beyond the image or without a value do not. The global peak is the greatest mean around a voxel of the
//! intensity mask, the local peak that around the voxel of greatest intensity (the greatest of them where there are several).
//!
//! A sphere is a stack of lines along x. Each line of the image is summed over windows of every length that the sphere has,
//! one from the other, and each sum is added to the spheres that it belongs to: nothing is subtracted, so one enormous
//! intensity spoils no other sphere.

use std::ops::Range;

use ndarray::{Array3, ArrayView3, Axis, Zip};
use rayon::prelude::*;

use super::Family;
use super::results::Results;
use super::roi::{BoundingBox, Roi};
use super::table::{Row, Unit};

/// Radius of a sphere of 1 cm3: (3 / (4 pi))^(1/3) cm.
pub(super) const RADIUS_MM: f64 = 6.203_504_908_994_001;

/// What rounding may take from a distance that equals the radius.
const TOLERANCE: f64 = 1e-9;

/// Slices whose spheres are summed together: their sums stay in the cache, and two chunks share few lines.
const SLAB: usize = 12;

/// The two peaks.
pub(super) struct Peaks {
    local: f64,
    global: f64,
}

const fn row(id: &'static str, tag: &'static str, name: &'static str, eval: fn(&Peaks) -> f64) -> Row<Peaks> {
    Row::new(Family::Local, id, tag, name, Unit::Same, eval)
}

/// The rows of the family.
pub(super) static ROWS: [Row<Peaks>; 2] = [
    row("VJGA", "loc_peak_loc", "Local intensity peak", |p| p.local),
    row("0F91", "loc_peak_glob", "Global intensity peak", |p| p.global),
];

/// The family's features of a region.
pub(super) fn measure(roi: &Roi, results: &mut Results) {
    if let Some(peaks) = Peaks::of(roi) {
        results.add_plain(&ROWS, &peaks);
    }
}

impl Peaks {
    fn of(roi: &Roi) -> Option<Self> {
        let bounds = BoundingBox::around(roi.intensity.view())?;
        let sphere = Sphere::new(roi.image.geometry.spacing_mm);
        let image = &roi.image.voxels;
        let greatest = roi.values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let complete = sphere.fits(&bounds, roi.image.geometry.size) && image.iter().all(|v| v.is_finite());
        let slabs: Vec<Range<usize>> = (bounds.first[2]..=bounds.last[2])
            .step_by(SLAB)
            .map(|first| first..(first + SLAB).min(bounds.last[2] + 1))
            .collect();
        let peaks: Vec<Self> = slabs
            .into_par_iter()
            .map(|slab| {
                let target = BoundingBox {
                    first: [bounds.first[0], bounds.first[1], slab.start],
                    last: [bounds.last[0], bounds.last[1], slab.end - 1],
                };
                Self::in_slab(roi, &target, &sphere, complete, greatest)
            })
            .collect();
        Some(peaks.into_iter().fold(Self::NONE, Self::greater))
    }

    const NONE: Self = Self { local: f64::NEG_INFINITY, global: f64::NEG_INFINITY };

    fn greater(self, other: Self) -> Self {
        Self { local: self.local.max(other.local), global: self.global.max(other.global) }
    }

    fn in_slab(roi: &Roi, target: &BoundingBox, sphere: &Sphere, complete: bool, greatest: f32) -> Self {
        let image = roi.image.voxels.view();
        let inside = target.cut(&roi.intensity);
        let sums = sphere.sums(image, target, &inside, |v| if v.is_finite() { f64::from(v) } else { 0.0 });
        let counts = if complete {
            Array3::from_elem(sums.dim(), sphere.voxels())
        } else {
            sphere.sums(image, target, &inside, |v| f64::from(u8::from(v.is_finite())))
        };
        let values = target.cut(&roi.image.voxels);
        let mut peaks = Self::NONE;
        Zip::from(&sums).and(&counts).and(&inside).and(&values).for_each(|sum, count, inside, value| {
            if *inside {
                let mean = sum / count;
                peaks.global = peaks.global.max(mean);
                if *value >= greatest {
                    peaks.local = peaks.local.max(mean);
                }
            }
        });
        peaks
    }
}

/// The sphere on a grid: how far each of its lines along x reaches.
struct Sphere {
    /// Steps along y and z, and voxels on each side of the centre along x.
    lines: Vec<([isize; 2], usize)>,
    /// The farthest step along x, y, z.
    reach: [usize; 3],
}

impl Sphere {
    fn new(spacing_mm: [f64; 3]) -> Self {
        let reach = spacing_mm.map(|d| (RADIUS_MM / d + TOLERANCE).floor() as usize);
        let [ry, rz] = [reach[1] as isize, reach[2] as isize];
        let mut lines = Vec::new();
        for dz in -rz..=rz {
            for dy in -ry..=ry {
                let (y, z) = (dy as f64 * spacing_mm[1], dz as f64 * spacing_mm[2]);
                let rest = RADIUS_MM * RADIUS_MM * (1.0 + TOLERANCE) - y * y - z * z;
                if rest >= 0.0 {
                    lines.push(([dy, dz], (rest.sqrt() / spacing_mm[0]).floor() as usize));
                }
            }
        }
        Self { lines, reach }
    }

    fn voxels(&self) -> f64 {
        self.lines.iter().map(|(_, half)| 2 * half + 1).sum::<usize>() as f64
    }

    /// Whether every sphere around a voxel of the box is wholly inside a grid.
    fn fits(&self, bounds: &BoundingBox, size: [usize; 3]) -> bool {
        (0..3).all(|axis| bounds.first[axis] >= self.reach[axis] && bounds.last[axis] + self.reach[axis] < size[axis])
    }

    /// Sums over the spheres around the voxels of `target`, from the first to the last of each line of `inside` (the same box).
    fn sums(
        &self,
        image: ArrayView3<f32>,
        target: &BoundingBox,
        inside: &Array3<bool>,
        value: impl Fn(f32) -> f64 + Copy,
    ) -> Array3<f64> {
        let (nz, ny, _) = image.dim();
        let mut sums = Array3::zeros(inside.dim());
        let wanted = inside.map_axis(Axis(2), |line| {
            let first = line.iter().position(|inside| *inside).unwrap_or(line.len());
            first..line.iter().rposition(|inside| *inside).map_or(first, |last| last + 1)
        });
        let near = |axis: usize, n: usize| {
            target.first[axis].saturating_sub(self.reach[axis])..(target.last[axis] + self.reach[axis] + 1).min(n)
        };
        let width = inside.dim().2;
        let mut windows = Windows::new(width, self.reach[0]);
        for (z, y) in near(2, nz).flat_map(|z| near(1, ny).map(move |y| (z, y))) {
            let mut filled = false;
            for ([dy, dz], half) in &self.lines {
                let step = |at: usize, step: isize, first: usize| (at as isize - step - first as isize) as usize;
                // Before the first line wraps around to beyond the last.
                let line = [step(z, *dz, target.first[2]), step(y, *dy, target.first[1])];
                let Some(range) = wanted.get(line).filter(|range| !range.is_empty()) else { continue };
                if !filled {
                    let row = image.index_axis_move(Axis(0), z).index_axis_move(Axis(0), y);
                    windows.fill(row.to_slice().unwrap_or_default(), target.first[0], value);
                    filled = true;
                }
                let start = (line[0] * inside.dim().1 + line[1]) * width;
                if let Some(sums) = sums.as_slice_mut() {
                    let sums = &mut sums[start + range.start..start + range.end];
                    let windows = &windows.of(*half)[range.clone()];
                    sums.iter_mut().zip(windows).for_each(|(sum, window)| *sum += window);
                }
            }
        }
        sums
    }
}

/// Sums over windows of 1, 3, 5 ... voxels along one line.
struct Windows {
    line: Vec<f64>,
    sums: Vec<f64>,
    width: usize,
}

impl Windows {
    fn new(width: usize, reach: usize) -> Self {
        Self { line: vec![0.0; width + 2 * reach], sums: vec![0.0; width * (reach + 1)], width }
    }

    /// Takes a line of the image, of which voxel `first` is the first window's centre; beyond its ends there is nothing.
    fn fill(&mut self, row: &[f32], first: usize, value: impl Fn(f32) -> f64) {
        let reach = (self.line.len() - self.width) / 2;
        let before = reach.saturating_sub(first);
        let known = &row[first.saturating_sub(reach)..(first + self.width + reach).min(row.len())];
        self.line.fill(0.0);
        self.line[before..].iter_mut().zip(known).for_each(|(to, from)| *to = value(*from));
        self.sums[..self.width].copy_from_slice(&self.line[reach..reach + self.width]);
        for half in 1..=reach {
            let (done, rest) = self.sums.split_at_mut(half * self.width);
            let shorter = &done[(half - 1) * self.width..];
            let ends = self.line[reach - half..].iter().zip(&self.line[reach + half..]);
            for ((sum, shorter), (left, right)) in rest[..self.width].iter_mut().zip(shorter).zip(ends) {
                *sum = shorter + (left + right);
            }
        }
    }

    fn of(&self, half: usize) -> &[f64] {
        &self.sums[half * self.width..(half + 1) * self.width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Geometry;
    use crate::math::linalg::IDENTITY;
    use crate::math::random::Stream;
    use approx::assert_relative_eq;

    fn roi(voxels: Array3<f32>, mask: Array3<bool>, spacing: [f64; 3]) -> Roi {
        let (nz, ny, nx) = voxels.dim();
        let geometry = Geometry::new([nx, ny, nz], spacing, [0.0; 3], IDENTITY).unwrap();
        Roi::new(voxels, mask, geometry, [nx, ny, nz])
    }

    /// Both peaks, sphere by sphere.
    fn slow(roi: &Roi) -> [f64; 2] {
        let spacing = roi.image.geometry.spacing_mm;
        let image = &roi.image.voxels;
        let mean = |at: (usize, usize, usize)| {
            let near = image.indexed_iter().filter(|((z, y, x), value)| {
                let d = [(*x, at.2), (*y, at.1), (*z, at.0)].map(|(a, b)| a as f64 - b as f64);
                value.is_finite() && (0..3).map(|k| (d[k] * spacing[k]).powi(2)).sum::<f64>() <= RADIUS_MM * RADIUS_MM
            });
            let (n, sum) = near.fold((0.0, 0.0), |(n, sum), (_, value)| (n + 1.0, sum + f64::from(*value)));
            sum / n
        };
        let greatest = roi.values.iter().copied().fold(f32::MIN, f32::max);
        let mut found = [f64::MIN; 2];
        for (at, _) in roi.intensity.indexed_iter().filter(|(_, inside)| **inside) {
            found[1] = found[1].max(mean(at));
            if image[at] >= greatest {
                found[0] = found[0].max(mean(at));
            }
        }
        found
    }

    #[test]
    fn peaks_are_those_of_the_sum_sphere_by_sphere_at_edges_and_beside_missing_voxels() {
        for seed in 0..6 {
            let mut stream = Stream::new(seed, 0, 0);
            let size = (5 + stream.below(14), 6 + stream.below(9), 4 + stream.below(9));
            let mut voxels = Array3::from_shape_simple_fn(size, || stream.below(20) as f32 - 5.0);
            if seed % 2 == 0 {
                voxels[[2, 3, 1]] = f32::NAN;
                voxels[[1, 1, 2]] = 1e30;
            }
            let mask = Array3::from_shape_fn(size, |(z, y, x)| (x + y * 2 + z) % 5 < 2 && y != 1);
            let roi = roi(voxels, mask, [1.5, 2.0, 2.5 + 0.5 * seed as f64]);
            let peaks = Peaks::of(&roi).unwrap();
            let [local, global] = slow(&roi);
            assert_relative_eq!(peaks.local, local, max_relative = 1e-12);
            assert_relative_eq!(peaks.global, global, max_relative = 1e-12);
        }
    }

    #[test]
    fn a_sphere_inside_the_grid_is_as_large_on_every_side() {
        let sphere = Sphere::new([1.0, 1.0, 1.0]);
        assert_relative_eq!(sphere.voxels(), 1021.0);
        assert_eq!(sphere.reach, [6, 6, 6]);
        let mut voxels = Array3::from_elem((30, 30, 30), 0.0);
        voxels[[15, 15, 21]] = 1021.0;
        let mask = Array3::from_shape_fn((30, 30, 30), |(z, y, x)| z == 15 && y == 15 && (9..16).contains(&x));
        let roi = roi(voxels, mask, [1.0; 3]);
        assert_relative_eq!(Peaks::of(&roi).unwrap().global, 1.0, max_relative = 1e-12);
    }
}
