//! Volume and surface area of an ellipsoid, as the IBSI computes them.

use std::f64::consts::PI;

/// The terms of the area's series that the IBSI manual asks for.
const TERMS: u32 = 20;

/// 4/3 pi a b c.
#[must_use]
pub fn volume(semi_axes: [f64; 3]) -> f64 {
    4.0 / 3.0 * PI * semi_axes.iter().product::<f64>()
}

/// The area by the series of the IBSI manual (RDD2), for semi-axes from long to short:
///
/// 4 pi a b sum over k of (alpha beta)^k / (1 - 4 k^2) `P_k`((alpha^2 + beta^2) / (2 alpha beta)), where
/// alpha^2 = 1 - b^2/a^2, beta^2 = 1 - c^2/a^2, and `P_k` are Legendre polynomials.
///
/// The surface of an ellipsoid has 1 - c^2/b^2 where the manual has 1 - b^2/a^2; its reference values are those of the series as it
/// is printed, up to a tenth below the true area, so that is what is computed. An axis of zero is an ellipsoid of no area.
#[must_use]
pub fn series_area([a, b, c]: [f64; 3]) -> f64 {
    if a <= 0.0 {
        return 0.0;
    }
    let [first, second] = [b, c].map(|axis| 1.0 - (axis / a) * (axis / a));
    // (alpha beta)^k P_k(x) by the recursion of the polynomials, which has no quotient that could vanish.
    let (sum, product) = (0.5 * (first + second), first * second);
    let (mut before, mut term, mut total) = (0.0, 1.0, 1.0);
    for k in 0..TERMS {
        let n = f64::from(k);
        let next = ((2.0 * n + 1.0) * sum * term - n * product * before) / (n + 1.0);
        (before, term) = (term, next);
        total += next / (1.0 - 4.0 * (n + 1.0) * (n + 1.0));
    }
    4.0 * PI * a * b * total
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn a_sphere_has_its_area_and_a_prolate_spheroid_that_of_the_printed_series() {
        assert_relative_eq!(volume([3.0, 2.0, 1.0]), 8.0 * PI, max_relative = 1e-14);
        assert_relative_eq!(series_area([2.0, 2.0, 2.0]), 16.0 * PI, max_relative = 1e-14);
        // With b = a, alpha is 0 and the series is that of an oblate spheroid turned over: 1 - e^2/6 - e^4/40 - ...
        let e: f64 = 0.5;
        let (a, c) = (1.0, (1.0 - e * e).sqrt());
        let closed = 2.0 * PI * a * (c + a * e.asin() / e);
        assert_relative_eq!(series_area([a, a, c]), closed, max_relative = 1e-12);
        assert!(series_area([1.0, 0.0, 0.0]).abs() < 1e-12);
    }
}
