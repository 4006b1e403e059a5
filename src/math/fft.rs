//! Fourier transforms of real arrays in two or three dimensions, and filters given by their transfer function.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "frequencies are indices of arrays and their negatives"
)]

use std::sync::Arc;

use ndarray::{Array3, ArrayViewMut2, Axis};
use rayon::prelude::*;
use realfft::RealFftPlanner;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

/// The least even length of at least `n` whose prime factors are 2, 3 and 5: lengths that transform fast.
#[must_use]
pub fn fast_length(n: usize) -> usize {
    let fits = |length: usize| {
        let mut rest = length;
        for prime in [2, 3, 5] {
            while rest.is_multiple_of(prime) {
                rest /= prime;
            }
        }
        rest == 1
    };
    (n.max(2).next_multiple_of(2)..).step_by(2).find(|length| fits(*length)).unwrap_or(n)
}

/// Which axes are transformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transformed {
    /// x and y: each slice for itself.
    Slices,
    /// x, y and z.
    Volume,
}

/// The spectrum of a real array `[z, y, x]`; along x only the frequencies that are not negative are kept.
#[derive(Debug, Clone)]
pub struct Spectrum {
    n_columns: usize,
    axes: Transformed,
    values: Array3<Complex<f64>>,
}

/// Columns that are transformed together: neighbours share lines of the cache.
const COLUMNS: usize = 8;

impl Spectrum {
    /// Transforms an array; the array is periodic beyond its edges.
    #[must_use]
    pub fn of(array: &Array3<f32>, axes: Transformed) -> Self {
        let (nz, ny, nx) = array.dim();
        let forward = RealFftPlanner::<f64>::new().plan_fft_forward(nx);
        let mut values = Array3::from_elem((nz, ny, nx / 2 + 1), Complex::new(0.0, 0.0));
        values.outer_iter_mut().into_par_iter().zip(array.outer_iter()).for_each_init(
            || (forward.make_input_vec(), forward.make_output_vec(), forward.make_scratch_vec()),
            |(line, spectrum, scratch), (mut to, from)| {
                for (mut to, from) in to.outer_iter_mut().zip(from.outer_iter()) {
                    line.iter_mut().zip(from).for_each(|(to, from)| *to = f64::from(*from));
                    // Fails only for buffers of other lengths than the plan's own.
                    if forward.process_with_scratch(line, spectrum, scratch).is_ok() {
                        to.iter_mut().zip(&*spectrum).for_each(|(to, from)| *to = *from);
                    }
                }
            },
        );
        let mut spectrum = Self { n_columns: nx, axes, values };
        let planes = |n: usize| FftPlanner::<f64>::new().plan_fft_forward(n);
        spectrum.transform(&planes(ny), &planes(nz));
        spectrum
    }

    fn transform(&mut self, along_y: &Arc<dyn Fft<f64>>, along_z: &Arc<dyn Fft<f64>>) {
        self.values.outer_iter_mut().into_par_iter().for_each(|plane| columns(plane, along_y));
        if self.axes == Transformed::Volume {
            self.values.axis_iter_mut(Axis(1)).into_par_iter().for_each(|plane| columns(plane, along_z));
        }
    }

    /// The array after a filter: the real part of the inverse transform of `transfer` times the spectrum.
    ///
    /// `transfer` is a function of the frequencies along x, y, z: signed whole numbers of periods in the array; the
    /// frequency of half the sampling rate is negative. Along an axis that is not transformed the frequency is 0.
    #[must_use]
    pub fn filtered(&self, transfer: impl Fn([i64; 3]) -> Complex<f64> + Sync) -> Array3<f32> {
        let (nz, ny, half) = self.values.dim();
        let size = [self.n_columns, ny, nz];
        let mut product = self.clone();
        product.values.outer_iter_mut().into_par_iter().enumerate().for_each(|(z, mut plane)| {
            for (y, mut row) in plane.outer_iter_mut().enumerate() {
                for (x, value) in row.iter_mut().enumerate() {
                    let z = if self.axes == Transformed::Volume { z } else { 0 };
                    let [here, mirror] = frequencies([x, y, z], size);
                    // The part of the filter whose response is real.
                    *value *= 0.5 * (transfer(here) + transfer(mirror).conj());
                }
            }
        });
        let planes = |n: usize| FftPlanner::<f64>::new().plan_fft_inverse(n);
        product.transform(&planes(ny), &planes(nz));
        let inverse = RealFftPlanner::<f64>::new().plan_fft_inverse(self.n_columns);
        let depth = if self.axes == Transformed::Volume { nz } else { 1 };
        let scale = 1.0 / (self.n_columns * ny * depth) as f64;
        let mut array = Array3::zeros((nz, ny, self.n_columns));
        array.outer_iter_mut().into_par_iter().zip(product.values.outer_iter()).for_each_init(
            || (inverse.make_input_vec(), inverse.make_output_vec(), inverse.make_scratch_vec()),
            |(spectrum, line, scratch), (mut to, from)| {
                for (mut to, from) in to.outer_iter_mut().zip(from.outer_iter()) {
                    spectrum.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                    // What rounding leaves where a real signal has nothing.
                    spectrum[0].im = 0.0;
                    if self.n_columns.is_multiple_of(2) {
                        spectrum[half - 1].im = 0.0;
                    }
                    if inverse.process_with_scratch(spectrum, line, scratch).is_ok() {
                        to.iter_mut().zip(&*line).for_each(|(to, from)| *to = (scale * from) as f32);
                    }
                }
            },
        );
        array
    }
}

/// A frequency and its mirror image, each signed: -n/2 stands for itself.
fn frequencies(index: [usize; 3], size: [usize; 3]) -> [[i64; 3]; 2] {
    let signed = |k: usize, n: usize| if 2 * k < n { k as i64 } else { k as i64 - n as i64 };
    let here = [0, 1, 2].map(|axis| signed(index[axis], size[axis]));
    let mirror = [0, 1, 2].map(|axis| signed((size[axis] - index[axis]) % size[axis], size[axis]));
    [here, mirror]
}

/// Transforms every column of a plane.
fn columns(mut plane: ArrayViewMut2<'_, Complex<f64>>, fft: &Arc<dyn Fft<f64>>) {
    let (n, width) = plane.dim();
    let mut buffer = vec![Complex::new(0.0, 0.0); COLUMNS * n];
    let mut scratch = vec![Complex::new(0.0, 0.0); fft.get_inplace_scratch_len()];
    for first in (0..width).step_by(COLUMNS) {
        let count = COLUMNS.min(width - first);
        for (y, row) in plane.outer_iter().enumerate() {
            for (k, value) in row.iter().skip(first).take(count).enumerate() {
                buffer[k * n + y] = *value;
            }
        }
        fft.process_with_scratch(&mut buffer[..count * n], &mut scratch);
        for (y, mut row) in plane.outer_iter_mut().enumerate() {
            for (k, value) in row.iter_mut().skip(first).take(count).enumerate() {
                *value = buffer[k * n + y];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn fast_lengths_are_even_and_have_small_factors() {
        let found: Vec<usize> = [0, 1, 2, 7, 9, 13, 101, 359].into_iter().map(fast_length).collect();
        assert_eq!(found, [2, 2, 2, 8, 10, 16, 108, 360]);
    }

    fn bumpy(size: (usize, usize, usize)) -> Array3<f32> {
        Array3::from_shape_fn(size, |(z, y, x)| ((x * 7 + y * 13 + z * 29 + x * y) % 17) as f32)
    }

    #[test]
    fn a_filter_of_one_gives_the_array_back_for_even_and_odd_sizes() {
        for size in [(4, 6, 8), (5, 7, 9), (1, 3, 10), (3, 1, 1)] {
            for axes in [Transformed::Slices, Transformed::Volume] {
                let array = bumpy(size);
                let back = Spectrum::of(&array, axes).filtered(|_| Complex::new(1.0, 0.0));
                for (found, expected) in back.iter().zip(&array) {
                    assert_relative_eq!(*found, *expected, epsilon = 1e-5);
                }
            }
        }
    }

    #[test]
    fn a_phase_that_grows_with_the_frequency_shifts_the_array() {
        let array = bumpy((5, 7, 9));
        let phase = |[x, y, z]: [i64; 3]| {
            let turns = 2.0 * x as f64 / 9.0 + 3.0 * y as f64 / 7.0 - z as f64 / 5.0;
            Complex::from_polar(1.0, -std::f64::consts::TAU * turns)
        };
        let shifted = Spectrum::of(&array, Transformed::Volume).filtered(phase);
        for ((z, y, x), value) in shifted.indexed_iter() {
            assert_relative_eq!(*value, array[[(z + 1) % 5, (y + 4) % 7, (x + 7) % 9]], epsilon = 1e-5);
        }
    }

    #[test]
    fn slices_are_transformed_for_themselves() {
        let array = bumpy((3, 4, 5));
        let mean = |[x, y, _]: [i64; 3]| Complex::new(f64::from(u8::from(x == 0 && y == 0)), 0.0);
        let means = Spectrum::of(&array, Transformed::Slices).filtered(mean);
        for (slice, means) in array.outer_iter().zip(means.outer_iter()) {
            assert_relative_eq!(means[[1, 2]], slice.mean().unwrap(), epsilon = 1e-5);
        }
    }
}
