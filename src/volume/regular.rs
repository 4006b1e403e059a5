//! Bringing slices onto a regular grid where they do not lie on one: between neighbours along z, or sheared sideways.

#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)] // Indices and f32 values.

use ndarray::{ArrayView2, Axis, Zip};

use super::stack::Layout;
use crate::image::{Geometry, Volume};

/// Linear interpolation along z: slice k of the grid lies at `places[k]` between the slices that are there. Missing values
/// stay missing wherever they have a share.
pub(super) fn interpolate(slices: &Volume<f32>, places: &[f64], geometry: Geometry) -> Volume<f32> {
    let mut volume = Volume::filled(geometry, f32::NAN);
    let last = slices.voxels.len_of(Axis(0)).saturating_sub(1);
    for (mut out, place) in volume.voxels.axis_iter_mut(Axis(0)).zip(places) {
        let below = (place.floor() as usize).min(last);
        let fraction = place - below as f64;
        let lower = slices.voxels.index_axis(Axis(0), below);
        if fraction <= 1e-9 || below == last {
            out.assign(&lower);
            continue;
        }
        let upper = slices.voxels.index_axis(Axis(0), below + 1);
        Zip::from(&mut out).and(&lower).and(&upper).for_each(|out, lower, upper| {
            *out = (f64::from(*lower) * (1.0 - fraction) + f64::from(*upper) * fraction) as f32;
        });
    }
    volume
}

/// Bilinear interpolation of one slice whose pixel (0, 0) lies at `offset` of the grid's slice `out` of `width` columns.
/// Outside the slice nothing was measured: NaN.
pub(super) fn shear(slice: ArrayView2<f32>, offset: [f64; 2], width: usize, out: &mut [f32]) {
    let (ny, nx) = slice.dim();
    let sample = |x: f64, n: usize| -> Option<(usize, f64)> {
        // A rounding error before the first or after the last pixel is none.
        let x = if (-1e-9..0.0).contains(&x) { 0.0 } else { x };
        let last = n as f64 - 1.0;
        let x = if x > last && x < last + 1e-9 { last } else { x };
        (0.0..=last).contains(&x).then(|| ((x.floor() as usize).min(n.saturating_sub(2)), x))
    };
    for (y, row) in out.chunks_exact_mut(width).enumerate() {
        let source_y = sample(y as f64 - offset[1], ny);
        for (x, value) in row.iter_mut().enumerate() {
            let (Some((j, sy)), Some((i, sx))) = (source_y, sample(x as f64 - offset[0], nx)) else {
                *value = f32::NAN;
                continue;
            };
            let (fx, fy) = (sx - i as f64, sy - j as f64);
            let mut sum = 0.0;
            for (jj, wy) in [(j, 1.0 - fy), (j + 1, fy)] {
                for (ii, wx) in [(i, 1.0 - fx), (i + 1, fx)] {
                    // A neighbour without a share may lie outside, or be missing.
                    if wx * wy > 0.0 {
                        sum += wx * wy * slice.get((jj, ii)).map_or(f64::NAN, |v| f64::from(*v));
                    }
                }
            }
            *value = sum as f32;
        }
    }
}

/// Index of the nearest slice that is there, for each slice of the grid.
pub(super) fn nearest(layout: &Layout, n_slices: usize) -> Vec<usize> {
    match layout {
        Layout::Interpolated(places) => {
            places.iter().map(|place| (place.round() as usize).min(n_slices.saturating_sub(1))).collect()
        }
        Layout::Regular | Layout::Sheared(_) => (0..n_slices).collect(),
    }
}
