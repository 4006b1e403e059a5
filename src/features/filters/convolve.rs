//! Convolution along the axes, one line at a time, at any boundary.

use ndarray::{Array3, Axis};
use rayon::prelude::*;

use super::boundary::Boundary;

/// A kernel along one axis, as steps and weights: `out[i] = sum of weight * in[i + step]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Taps(Vec<(isize, f64)>);

impl Taps {
    /// The convolution with a kernel whose middle weight is at the voxel itself; a kernel of even length gets a zero at its
    /// end. With `spread` there are `spread - 1` zeros between the weights (the algorithm "à trous").
    pub(super) fn new(kernel: &[f64], spread: usize) -> Self {
        let middle = (kernel.len() / 2) as isize;
        let tap = |(index, weight): (usize, &f64)| ((middle - index as isize) * spread as isize, *weight);
        Self(kernel.iter().enumerate().map(tap).filter(|(_, weight)| weight.abs() > 0.0).collect())
    }

    /// A symmetric kernel by its weights at distance 0, 1, 2 …
    pub(super) fn symmetric(half: &[f64]) -> Self {
        let far = half.iter().skip(1).rev();
        Self::new(&far.chain(half).copied().collect::<Vec<_>>(), 1)
    }

    /// The kernel the other way round.
    pub(super) fn flipped(&self) -> Self {
        Self(self.0.iter().rev().map(|(step, weight)| (-step, *weight)).collect())
    }

    /// The kernel with the other sign.
    pub(super) fn negated(&self) -> Self {
        Self(self.0.iter().map(|(step, weight)| (*step, -weight)).collect())
    }

    /// The kernel and the voxel itself.
    pub(super) fn plus_identity(mut self) -> Self {
        match self.0.iter_mut().find(|(step, _)| *step == 0) {
            Some((_, weight)) => *weight += 1.0,
            None => self.0.push((0, 1.0)),
        }
        self
    }

    /// How far it looks.
    pub(super) fn reach(&self) -> usize {
        self.0.iter().map(|(step, _)| step.unsigned_abs()).max().unwrap_or(0)
    }
}

/// An axis of an array `[z, y, x]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Along {
    X,
    Y,
    Z,
}

impl Along {
    /// x, y, z.
    pub(super) const ALL: [Self; 3] = [Self::X, Self::Y, Self::Z];
}

/// The sum of some convolutions along one axis. All arrays are of one shape, in standard layout.
pub(super) fn convolve(terms: &[(&Array3<f32>, &Taps)], along: Along, boundary: Boundary) -> Array3<f32> {
    let Some((first, _)) = terms.first() else { return Array3::zeros((0, 0, 0)) };
    let (nz, ny, nx) = first.dim();
    let mut out = Array3::zeros((nz, ny, nx));
    out.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each_init(
        || Row { sum: vec![0.0; nx], line: Vec::new() },
        |row, (z, mut plane)| {
            for (y, mut to) in plane.outer_iter_mut().enumerate() {
                row.sum.fill(0.0);
                for (input, taps) in terms {
                    let values = input.as_slice().unwrap_or_default();
                    let line = |z: usize, y: usize| &values[(z * ny + y) * nx..(z * ny + y + 1) * nx];
                    match along {
                        Along::X => row.add_along(line(z, y), taps, boundary),
                        Along::Y => row.add_lines(taps, |step| {
                            boundary.source(y as isize + step, ny).map(|source| line(z, source))
                        }),
                        Along::Z => row.add_lines(taps, |step| {
                            boundary.source(z as isize + step, nz).map(|source| line(source, y))
                        }),
                    }
                }
                to.iter_mut().zip(&row.sum).for_each(|(to, sum)| *to = *sum as f32);
            }
        },
    );
    out
}

/// One row of the result while it is summed.
struct Row {
    sum: Vec<f64>,
    /// A line with what lies beyond its ends.
    line: Vec<f64>,
}

impl Row {
    fn add_lines<'a>(&mut self, taps: &Taps, line: impl Fn(isize) -> Option<&'a [f32]>) {
        for (step, weight) in &taps.0 {
            let Some(line) = line(*step) else { continue };
            self.sum.iter_mut().zip(line).for_each(|(sum, value)| *sum += weight * f64::from(*value));
        }
    }

    fn add_along(&mut self, line: &[f32], taps: &Taps, boundary: Boundary) {
        let reach = taps.reach();
        let (n, margin) = (line.len(), reach as isize);
        let beyond = |k: isize| boundary.source(k, n).map_or(0.0, |source| f64::from(line[source]));
        self.line.clear();
        self.line.extend((-margin..0).map(beyond));
        self.line.extend(line.iter().map(|value| f64::from(*value)));
        self.line.extend((n as isize..n as isize + margin).map(beyond));
        for (step, weight) in &taps.0 {
            let values = &self.line[(margin + step) as usize..];
            self.sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
        }
    }
}

/// One kernel after the other along x, y, z.
pub(super) fn separable(image: &Array3<f32>, kernels: &[Taps], boundary: Boundary) -> Array3<f32> {
    let mut filtered: Option<Array3<f32>> = None;
    for (along, taps) in Along::ALL.into_iter().zip(kernels) {
        filtered = Some(convolve(&[(filtered.as_ref().unwrap_or(image), taps)], along, boundary));
    }
    filtered.unwrap_or_else(|| image.clone())
}

/// The mean over the voxels up to `distance` steps away along each of so many axes.
pub(super) fn box_mean(image: &Array3<f32>, distance: usize, axes: usize, boundary: Boundary) -> Array3<f32> {
    let size = 2 * distance + 1;
    let taps = Taps::new(&vec![1.0 / size as f64; size], 1);
    separable(image, &vec![taps; axes], boundary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn a_convolution_turns_the_kernel_around() {
        let mut impulse = Array3::zeros((7, 7, 7));
        impulse[[3, 3, 3]] = 1.0;
        let taps = Taps::new(&[1.0, 2.0, 3.0, 4.0], 1);
        for (k, along) in Along::ALL.into_iter().enumerate() {
            let response = convolve(&[(&impulse, &taps)], along, Boundary::Zero);
            let at = |step: usize| {
                let mut index = [3, 3, 3];
                index[2 - k] = step;
                response[index]
            };
            // The third weight is the middle one: the even kernel has a zero at its end.
            assert_eq!((0..7).map(at).collect::<Vec<_>>(), [0.0, 1.0, 2.0, 3.0, 4.0, 0.0, 0.0]);
        }
    }

    #[test]
    fn flipped_twice_is_the_same_and_zeros_between_weights_spread_it() {
        let taps = Taps::new(&[1.0, 0.0, -2.0, 5.0], 2);
        assert_eq!(taps.flipped().flipped(), taps);
        assert_eq!(taps.0, [(4, 1.0), (0, -2.0), (-2, 5.0)]);
        assert_eq!(Taps::symmetric(&[3.0, 2.0, 1.0]), Taps::new(&[1.0, 2.0, 3.0, 2.0, 1.0], 1));
    }

    #[test]
    fn the_mean_of_a_constant_is_the_constant_but_beside_nothing() {
        let image = Array3::from_elem((3, 4, 5), 2.5f32);
        for boundary in [Boundary::Nearest, Boundary::Periodic, Boundary::Mirror] {
            for value in box_mean(&image, 4, 3, boundary) {
                assert_relative_eq!(value, 2.5, epsilon = 1e-6);
            }
        }
        assert!(box_mean(&image, 1, 3, Boundary::Zero)[[0, 0, 0]] < 1.0);
    }
}
