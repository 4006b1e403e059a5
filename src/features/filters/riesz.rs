//! Riesz transforms (IBSI 2, AYRS), steered or not, of the image or of another filter's response.
//!
//! Order l = (l1, l2, l3), L = l1 + l2 + l3:
//! (-i)^L sqrt(L! / (l1! l2! l3!)) nu1^l1 nu2^l2 nu3^l3 / |nu|^L. It takes L derivatives without changing the amplitude of any
//! frequency. The transform reaches as far as the image, so what lies beyond the edges is put there before, half an image
//! on each side; a response to Simoncelli's filter is periodic and needs none of it.
//!
//! Steered, the axes are those of the structure tensor around each voxel: the first is the direction of the strongest first-order
//! response in a Gaussian neighbourhood. A transform of order l along turned axes is a sum of transforms of the same L along
//! the grid's; the sign of each axis is that for which its first-order response at the voxel is not negative.

use ndarray::{Array3, Zip};
use rayon::prelude::*;
use rustfft::num_complex::Complex;
use serde::{Deserialize, Serialize};

use super::boundary::{Boundary, Dimensions};
use super::convolve::separable;
use super::log::{LaplacianOfGaussian, four, gaussian};
use super::simoncelli::{Simoncelli, band, transformed};
use crate::math::fft::{Spectrum, fast_length};
use crate::math::linalg::{Mat3, Vec3, dot, symmetric_eigen};

/// Derivatives of one order, of a band.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Riesz {
    /// Order along x, y, z; along z 0 where slices are filtered.
    pub order: [u8; 3],
    /// What is transformed.
    #[serde(default)]
    pub of: Band,
    /// Steer by the structure tensor in a Gaussian of this sigma.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steer_mm: Option<f64>,
    /// Slices or volume.
    #[serde(default)]
    pub dimensions: Dimensions,
    /// Beyond the edges.
    #[serde(default)]
    pub boundary: Boundary,
}

/// What a Riesz transform is taken of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Band {
    /// The image.
    #[default]
    Image,
    /// Its Laplacian of Gaussian.
    Log {
        /// Scale.
        sigma_mm: f64,
        /// Where the kernel ends, in sigma.
        #[serde(default = "four")]
        truncate: f64,
    },
    /// A level of Simoncelli's filter.
    Simoncelli {
        /// From 1.
        level: u8,
    },
}

/// L at most.
pub(super) const ORDER_MAX: u8 = 4;

impl Riesz {
    pub(super) fn label(&self) -> String {
        let [x, y, z] = self.order;
        let of = match &self.of {
            Band::Image => String::new(),
            Band::Log { sigma_mm, truncate } => {
                format!("-log{}mm{}", super::number(*sigma_mm), super::unless(*truncate, four(), "-cut"))
            }
            Band::Simoncelli { level } => format!("-simoncelli{level}"),
        };
        let steered = self.steer_mm.map_or_else(String::new, |sigma| format!("-steered{}mm", super::number(sigma)));
        format!("riesz-{}d-{x}{y}{z}{of}{steered}{}", self.dimensions.count(), self.boundary.label())
    }

    /// The size that the image has while it is transformed, and where it begins in it.
    pub(super) fn extended(&self, size: [usize; 3]) -> ([usize; 3], [usize; 3]) {
        let periodic = self.boundary == Boundary::Periodic || matches!(self.of, Band::Simoncelli { .. });
        let along = |axis: usize, n: usize| {
            if periodic || axis >= self.dimensions.count() || n < 2 {
                (n, 0)
            } else if self.boundary == Boundary::Mirror {
                // Twice the image is one whole period of the image mirrored for ever.
                (2 * n, n / 2)
            } else {
                (fast_length(2 * n), n / 2)
            }
        };
        let extended = [0, 1, 2].map(|axis| along(axis, size[axis]));
        (extended.map(|(total, _)| total), extended.map(|(_, before)| before))
    }

    pub(super) fn apply(&self, image: &Array3<f32>, spacing_mm: Vec3) -> Array3<f32> {
        let (nz, ny, nx) = image.dim();
        let (total, before) = self.extended([nx, ny, nz]);
        let extended = self.boundary.extend(image, before, total);
        let band_pass = match &self.of {
            Band::Log { sigma_mm, truncate } => LaplacianOfGaussian {
                sigma_mm: *sigma_mm,
                truncate: *truncate,
                dimensions: self.dimensions,
                boundary: self.boundary,
            }
            .apply(&extended, spacing_mm),
            _ => extended,
        };
        let spectrum = Spectrum::of(&band_pass, transformed(self.dimensions));
        drop(band_pass);
        let component = |order: [u8; 3]| {
            let response = spectrum.filtered(|frequency| self.transfer(frequency, total, order));
            cut(&response, before, [nx, ny, nz])
        };
        match self.steer_mm {
            None => component(self.order),
            Some(sigma_mm) => self.steered(&component, sigma_mm, spacing_mm),
        }
    }

    fn transfer(&self, frequency: [i64; 3], size: [usize; 3], order: [u8; 3]) -> Complex<f64> {
        let nu = [0, 1, 2].map(|axis| 2.0 * frequency[axis] as f64 / size[axis] as f64);
        let radius = dot(nu, nu).sqrt();
        if radius <= 0.0 {
            return Complex::new(0.0, 0.0);
        }
        let total: u8 = order.iter().sum();
        let power: f64 = nu.iter().zip(order).map(|(nu, l)| (nu / radius).powi(i32::from(l))).product();
        let band = match self.of {
            Band::Simoncelli { level } => band(frequency, size, &Simoncelli { level, dimensions: self.dimensions }),
            _ => 1.0,
        };
        Complex::new(0.0, -1.0).powi(i32::from(total)) * (multinomial(order).sqrt() * power * band)
    }

    /// The transform along the axes of the structure tensor.
    fn steered(&self, component: &impl Fn([u8; 3]) -> Array3<f32>, sigma_mm: f64, spacing_mm: Vec3) -> Array3<f32> {
        let first = [component([1, 0, 0]), component([0, 1, 0]), component([0, 0, 1])];
        let smoothing: Vec<_> = spacing_mm[..self.dimensions.count()].iter().map(|d| gaussian(sigma_mm / d)).collect();
        let tensor: Vec<Array3<f32>> = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]
            .iter()
            .map(|(a, b)| separable(&(&first[*a] * &first[*b]), &smoothing, Boundary::Mirror))
            .collect();
        let total: u8 = self.order.iter().sum();
        let orders = orders(total);
        let components: Vec<Array3<f32>> = orders.iter().map(|order| component(*order)).collect();
        let ratios: Vec<f64> = orders.iter().map(|n| (multinomial(self.order) / multinomial(*n)).sqrt()).collect();
        let values = |arrays: &[Array3<f32>], at: usize| -> Vec<f64> {
            arrays
                .iter()
                .map(|array| array.as_slice().and_then(|all| all.get(at)).map_or(0.0, |v| f64::from(*v)))
                .collect()
        };
        let mut response = Array3::zeros(first[0].dim());
        if let Some(response) = response.as_slice_mut() {
            response.par_iter_mut().enumerate().for_each(|(at, response)| {
                let [xx, yy, zz, xy, xz, yz] = [0, 1, 2, 3, 4, 5].map(|k| values(&tensor[k..=k], at)[0]);
                let gradient = [0, 1, 2].map(|k| values(&first[k..=k], at)[0]);
                let axes = axes([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], gradient);
                let weights = expand(&axes, self.order, &orders);
                let parts = weights.iter().zip(&ratios).zip(values(&components, at));
                *response = parts.map(|((weight, ratio), value)| weight * ratio * value).sum::<f64>() as f32;
            });
        }
        response
    }
}

/// Rows: the axes of a structure tensor, from the strongest to the weakest, each towards a response that is not negative.
fn axes(tensor: Mat3, gradient: Vec3) -> Mat3 {
    let (values, vectors) = symmetric_eigen(&tensor);
    let mut order = [0, 1, 2];
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    order.map(|k| {
        let axis: Vec3 = vectors[k];
        if dot(axis, gradient) < 0.0 { axis.map(|v| -v) } else { axis }
    })
}

/// L! / (l1! l2! l3!)
fn multinomial(order: [u8; 3]) -> f64 {
    let factorial = |n: u8| (1..=n).map(f64::from).product::<f64>();
    factorial(order.iter().sum()) / order.map(factorial).iter().product::<f64>()
}

/// Every order of this sum.
fn orders(total: u8) -> Vec<[u8; 3]> {
    (0..=total).flat_map(|x| (0..=total - x).map(move |y| [x, y, total - x - y])).collect()
}

/// The coefficients of (axis1 . nu)^l1 (axis2 . nu)^l2 (axis3 . nu)^l3 at nu^n for each n of `orders`.
fn expand(axes: &Mat3, order: [u8; 3], orders: &[[u8; 3]]) -> Vec<f64> {
    const N: usize = ORDER_MAX as usize + 1;
    // Powers of x and y say all: that of z is the rest.
    let mut polynomial = [[0.0f64; N]; N];
    polynomial[0][0] = 1.0;
    for (axis, power) in axes.iter().zip(order) {
        for _ in 0..power {
            let mut product = [[0.0f64; N]; N];
            for x in 0..N {
                for y in 0..N {
                    product[x][y] += axis[2] * polynomial[x][y];
                    if x > 0 {
                        product[x][y] += axis[0] * polynomial[x - 1][y];
                    }
                    if y > 0 {
                        product[x][y] += axis[1] * polynomial[x][y - 1];
                    }
                }
            }
            polynomial = product;
        }
    }
    orders.iter().map(|[x, y, _]| polynomial[usize::from(*x)][usize::from(*y)]).collect()
}

/// A box of an array.
fn cut(array: &Array3<f32>, before: [usize; 3], size: [usize; 3]) -> Array3<f32> {
    let mut out = Array3::zeros((size[2], size[1], size[0]));
    let [x, y, z] = before;
    Zip::indexed(&mut out).par_for_each(|(k, j, i), value| *value = array[[k + z, j + y, i + x]]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::linalg::{mul_vec, rotation};
    use approx::assert_relative_eq;

    #[test]
    fn the_first_order_turns_a_cosine_into_a_sine_of_the_same_amplitude() {
        let wave = |x: usize| std::f64::consts::TAU * 3.0 * x as f64 / 24.0;
        let image = Array3::from_shape_fn((4, 5, 24), |(_, _, x)| wave(x).cos() as f32);
        let riesz = Riesz {
            order: [1, 0, 0],
            of: Band::Image,
            steer_mm: None,
            dimensions: Dimensions::Volume,
            boundary: Boundary::Periodic,
        };
        for ((_, _, x), value) in riesz.apply(&image, [1.0; 3]).indexed_iter() {
            assert_relative_eq!(f64::from(*value), wave(x).sin(), epsilon = 1e-5);
        }
    }

    #[test]
    fn a_turned_polynomial_is_the_sum_of_its_parts() {
        let axes = rotation([0.4, -0.2, 0.9]);
        let nu = [0.3, -0.7, 0.5];
        let turned = mul_vec(&axes, nu);
        for order in [[1, 0, 0], [0, 2, 0], [2, 1, 1], [0, 0, 4]] {
            let orders = orders(order.iter().sum());
            let power = |nu: Vec3, l: [u8; 3]| -> f64 { nu.iter().zip(l).map(|(v, l)| v.powi(i32::from(l))).product() };
            let sum: f64 = expand(&axes, order, &orders).iter().zip(&orders).map(|(c, n)| c * power(nu, *n)).sum();
            assert_relative_eq!(sum, power(turned, order), epsilon = 1e-12);
        }
    }

    #[test]
    fn a_steered_edge_answers_the_same_in_every_direction() {
        let response = |turn: f64| {
            let (sin, cos) = turn.sin_cos();
            let image = Array3::from_shape_fn((21, 41, 41), |(_, y, x)| {
                let across = (x as f64 - 20.0) * cos + (y as f64 - 20.0) * sin;
                (across / 2.0).tanh() as f32
            });
            let riesz = Riesz {
                order: [2, 0, 0],
                of: Band::Log { sigma_mm: 2.0, truncate: 4.0 },
                steer_mm: Some(2.0),
                dimensions: Dimensions::Volume,
                boundary: Boundary::Mirror,
            };
            // Two voxels from the edge, where the second derivative is strongest.
            let at = |along: f64, start: f64| (start + along) as usize;
            riesz.apply(&image, [1.0; 3])[[10, at(2.0 * sin, 20.0), at(2.0 * cos, 20.0)]]
        };
        let straight = response(0.0);
        assert!(straight.abs() > 0.01);
        assert_relative_eq!(response(std::f64::consts::FRAC_PI_2), straight, max_relative = 1e-3);
        assert_relative_eq!(response(std::f64::consts::PI), straight, max_relative = 0.2);
    }
}
