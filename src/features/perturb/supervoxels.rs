//! A contour redrawn along supervoxels, as another observer might have drawn it.
//!
//! Simple linear iterative clustering (R. Achanta et al., IEEE Trans. Pattern Anal. 34 (2012) 2274) in the box around the
//! region. A supervoxel that lies in the region by 90 % or more is taken, one by less than 20 % is not, any other with a
//! probability that is its share in the region (Zwanenburg et al. 2019).

use ndarray::Array3;

use crate::features::roi::BoundingBox;
use crate::image::{Mask, Volume};
use crate::math::linalg::Vec3;
use crate::math::random::Stream;

/// About so many supervoxels in a region.
const IN_REGION: f64 = 100.0;

/// Seeds are at least so many voxels apart.
const APART_MIN: f64 = 2.0;

/// Rounds of clustering; centres move little after the first ones.
const ROUNDS: usize = 5;

/// One standard deviation of the intensities counts as much as so many distances between seeds.
const CONTRAST: f64 = 2.0;

/// Shares in the region at which a supervoxel is always, and never, part of it.
const ALWAYS: f64 = 0.9;
const NEVER: f64 = 0.2;

/// Redraws a region; one of which nothing would be left stays as it is.
pub(super) fn redraw(image: &Volume<f32>, mask: &mut Mask, stream: &mut Stream) {
    let Some(bounds) = BoundingBox::around(mask.voxels.view()) else { return };
    let spacing = image.geometry.spacing_mm;
    let apart_mm = apart_mm(mask, &bounds, spacing);
    let margin = spacing.map(|spacing| (apart_mm / spacing).ceil() as usize);
    let near = bounds.grown(margin, mask.geometry.size);
    let part = near.cut(&mask.voxels);
    let clusters = Clusters::of(&near.cut(&image.voxels), spacing, apart_mm);
    let mut counts = vec![[0u32; 2]; clusters.centres.len()];
    for (label, inside) in clusters.labels.iter().zip(&part) {
        counts[*label as usize][usize::from(*inside)] += 1;
    }
    let taken: Vec<bool> = counts
        .iter()
        .map(|[outside, inside]| {
            let share = f64::from(*inside) / f64::from((outside + inside).max(1));
            // Drawn for every one: what one supervoxel is does not change what the next is.
            let chance = stream.uniform();
            share >= ALWAYS || (share >= NEVER && chance < share)
        })
        .collect();
    if !clusters.labels.iter().any(|label| taken[*label as usize]) {
        return;
    }
    for ((z, y, x), label) in clusters.labels.indexed_iter() {
        let at = [z + near.first[2], y + near.first[1], x + near.first[0]];
        mask.voxels[at] = taken[*label as usize];
    }
}

/// How far seeds are apart, mm.
fn apart_mm(mask: &Mask, bounds: &BoundingBox, spacing: Vec3) -> f64 {
    let flat = bounds.size()[2] == 1;
    let voxels = mask.count() as f64 / IN_REGION;
    let widest = spacing[0].max(spacing[1]).max(if flat { 0.0 } else { spacing[2] });
    let size = if flat {
        (voxels * spacing[0] * spacing[1]).sqrt()
    } else {
        (voxels * spacing.iter().product::<f64>()).cbrt()
    };
    size.max(APART_MIN * widest)
}

#[derive(Debug, Clone, Copy, Default)]
struct Centre {
    at: Vec3,
    intensity: f64,
}

struct Clusters {
    centres: Vec<Centre>,
    labels: Array3<u32>,
}

impl Clusters {
    fn of(image: &Array3<f32>, spacing: Vec3, apart_mm: f64) -> Self {
        let (nz, ny, nx) = image.dim();
        let steps: Vec<Vec<usize>> =
            [nx, ny, nz].into_iter().zip(spacing).map(|(n, spacing)| seeds(n, spacing, apart_mm)).collect();
        let value = |z: usize, y: usize, x: usize| f64::from(image[[z, y, x]]);
        let mut centres = Vec::new();
        for z in &steps[2] {
            for y in &steps[1] {
                for x in &steps[0] {
                    let intensity = value(*z, *y, *x);
                    let intensity = if intensity.is_finite() { intensity } else { 0.0 };
                    centres.push(Centre { at: [*x as f64, *y as f64, *z as f64], intensity });
                }
            }
        }
        let mut clusters = Self { centres, labels: Array3::zeros(image.dim()) };
        let scale = CONTRAST / deviation(image).max(f64::MIN_POSITIVE);
        for _ in 0..ROUNDS {
            clusters.assign(image, spacing, apart_mm, scale);
            clusters.move_centres(image);
        }
        clusters
    }

    /// Each voxel to the nearest centre around it, in place and intensity.
    fn assign(&mut self, image: &Array3<f32>, spacing: Vec3, apart_mm: f64, scale: f64) {
        let (nz, ny, nx) = image.dim();
        let mut least = Array3::from_elem(image.dim(), f64::INFINITY);
        let reach = spacing.map(|spacing| apart_mm / spacing * 1.5 + 1.0);
        for (label, centre) in self.centres.iter().enumerate() {
            let along = |axis: usize, n: usize| {
                let low = (centre.at[axis] - reach[axis]).ceil().max(0.0) as usize;
                low..((centre.at[axis] + reach[axis]).floor().max(0.0) as usize + 1).min(n)
            };
            for z in along(2, nz) {
                for y in along(1, ny) {
                    let far =
                        |at: usize, axis: usize| ((at as f64 - centre.at[axis]) * spacing[axis] / apart_mm).powi(2);
                    let across = far(z, 2) + far(y, 1);
                    for x in along(0, nx) {
                        let value = f64::from(image[[z, y, x]]);
                        let differs =
                            if value.is_finite() { ((value - centre.intensity) * scale).powi(2) } else { 0.0 };
                        let distance = across + far(x, 0) + differs;
                        if distance < least[[z, y, x]] {
                            least[[z, y, x]] = distance;
                            self.labels[[z, y, x]] = label as u32;
                        }
                    }
                }
            }
        }
    }

    fn move_centres(&mut self, image: &Array3<f32>) {
        let mut sums = vec![([0.0; 4], 0u32, 0u32); self.centres.len()];
        for (((z, y, x), label), value) in self.labels.indexed_iter().zip(image) {
            let (sum, n, n_values) = &mut sums[*label as usize];
            [x, y, z].iter().zip(sum.iter_mut()).for_each(|(at, sum)| *sum += *at as f64);
            *n += 1;
            if value.is_finite() {
                sum[3] += f64::from(*value);
                *n_values += 1;
            }
        }
        for (centre, (sum, n, n_values)) in self.centres.iter_mut().zip(sums) {
            if n > 0 {
                centre.at = [sum[0], sum[1], sum[2]].map(|sum| sum / f64::from(n));
            }
            if n_values > 0 {
                centre.intensity = sum[3] / f64::from(n_values);
            }
        }
    }
}

/// Places of the seeds along an axis of `n` voxels.
fn seeds(n: usize, spacing: f64, apart_mm: f64) -> Vec<usize> {
    let count = ((n as f64 * spacing / apart_mm).round() as usize).clamp(1, n);
    (0..count).map(|k| (2 * k + 1) * n / (2 * count)).collect()
}

/// The standard deviation of the intensities in and around the region.
fn deviation(image: &Array3<f32>) -> f64 {
    let values = || image.iter().map(|value| f64::from(*value)).filter(|value| value.is_finite());
    let n = values().count().max(1) as f64;
    let mean = values().sum::<f64>() / n;
    (values().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt()
}
