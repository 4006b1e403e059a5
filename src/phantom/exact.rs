//! Exponential, cosine and cube root from IEEE 754 arithmetic alone.
//!
//! The system's own functions differ in the last bit between C libraries, and one bit can tip a rounding. These
//! are accurate to about 1e-12, more than a synthetic image needs, and the same everywhere.

/// e to the x, by halving x until the Taylor series is short, then squaring back. Meant for |x| below 100.
pub(super) fn exp(x: f64) -> f64 {
    let mut halvings = 0;
    let mut small = x;
    while small.abs() > 0.0625 && halvings < 12 {
        small *= 0.5;
        halvings += 1;
    }
    let mut sum = 1.0;
    for n in (1..=9).rev() {
        sum = 1.0 + small * sum / f64::from(n);
    }
    for _ in 0..halvings {
        sum *= sum;
    }
    sum
}

/// The cosine of `turns` full turns (2 pi times as many radians). Meant for |turns| below 1e6.
pub(super) fn cos_turns(turns: f64) -> f64 {
    let folded = (turns - turns.round()).abs();
    // cos(2 pi t) = -cos(2 pi (1/2 - t)): at most a quarter of a turn is left for the series.
    let (sign, t) = if folded > 0.25 { (-1.0, 0.5 - folded) } else { (1.0, folded) };
    let x = std::f64::consts::TAU * t;
    let x2 = x * x;
    let mut sum = 1.0;
    for n in (1..=8).rev() {
        sum = 1.0 - x2 * sum / f64::from((2 * n - 1) * 2 * n);
    }
    sign * sum
}

/// The sine of `turns` full turns; exactly 0 at 0.
pub(super) fn sin_turns(turns: f64) -> f64 {
    let folded = turns - turns.round();
    // sin(2 pi t) = sin(2 pi (1/2 - t)): at most a quarter of a turn is left for the series.
    let t = if folded.abs() > 0.25 { 0.5f64.copysign(folded) - folded } else { folded };
    let x = std::f64::consts::TAU * t;
    let x2 = x * x;
    let mut sum = 1.0;
    for n in (1..=8).rev() {
        sum = 1.0 - x2 * sum / f64::from(2 * n * (2 * n + 1));
    }
    x * sum
}

/// The cube root of a positive number, by Newton's method.
pub(super) fn cube_root(volume: f64) -> f64 {
    let mut x = volume.sqrt().max(1e-3);
    for _ in 0..60 {
        x -= (x - volume / (x * x)) / 3.0;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn exponential_cosine_and_cube_root_agree_with_the_library() {
        for step in -400..=400 {
            let x = f64::from(step) * 0.05;
            assert_relative_eq!(exp(x), x.exp(), max_relative = 1e-11);
            assert_relative_eq!(cos_turns(x), (std::f64::consts::TAU * x).cos(), epsilon = 1e-11);
            assert_relative_eq!(sin_turns(x), (std::f64::consts::TAU * x).sin(), epsilon = 1e-11);
            assert_relative_eq!(cube_root(x.abs() + 0.01), (x.abs() + 0.01).cbrt(), max_relative = 1e-12);
        }
    }
}
