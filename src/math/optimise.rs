//! Minimisation of smooth functions of many variables: L-BFGS.
//!
//! The search direction is the two-loop recursion over the last few steps (Nocedal 1980), the step length a bracketing line
//! search for the weak Wolfe conditions (Lewis and Overton 2013), which also ends on functions with kinks. Variables should
//! be scaled alike: the first step goes straight down the gradient and is `step_first` long.

/// When to stop and how far to go at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Steps whose curvature is remembered.
    pub memory: usize,
    /// Iterations at most.
    pub iterations_max: usize,
    /// Length of the first step, in the variables' unit.
    pub step_first: f64,
    /// Length of any step at most.
    pub step_max: f64,
    /// A step shorter than this ends the search.
    pub step_min: f64,
}

/// Where a search ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Minimum {
    /// The best point that was seen.
    pub point: Vec<f64>,
    /// The function there.
    pub value: f64,
    /// Iterations that were made.
    pub n_iterations: usize,
    /// How often the function was asked for.
    pub n_evaluations: usize,
}

/// Evaluations of one line search at most.
const LINE_EVALUATIONS_MAX: usize = 12;
/// Weak Wolfe conditions: the share of the predicted decrease that must be reached, and that of the slope that may be left.
const DECREASE: f64 = 1e-4;
const SLOPE_LEFT: f64 = 0.9;

/// A minimum of `function` near `start`: the function gets a point, fills the gradient and returns the value.
///
/// A value that is not finite counts as a wall: the line search turns back before it. Where no step leads down the search
/// ends. Cost: one or two evaluations for each iteration, and 4 x `memory` products of vectors.
#[must_use]
pub fn minimise(start: &[f64], settings: &Settings, mut function: impl FnMut(&[f64], &mut [f64]) -> f64) -> Minimum {
    let n = start.len();
    let mut at = start.to_vec();
    let mut gradient = vec![0.0; n];
    let mut value = function(&at, &mut gradient);
    let mut history = History { pairs: Vec::new(), memory: settings.memory.max(1) };
    let mut n_evaluations = 1;
    let mut n_iterations = 0;
    while n_iterations < settings.iterations_max && value.is_finite() {
        n_iterations += 1;
        let mut direction = history.direction(&gradient);
        let mut slope = dot(&direction, &gradient);
        let length = norm(&direction);
        if length.is_nan() || length <= 0.0 {
            break;
        }
        if slope >= 0.0 {
            history.pairs.clear();
            direction = gradient.iter().map(|g| -g).collect();
            slope = dot(&direction, &gradient);
        }
        let length = norm(&direction);
        let wanted = if history.pairs.is_empty() { settings.step_first / length } else { 1.0 };
        let longest = settings.step_max / length;
        let line = Line { at: &at, direction: &direction, value, slope, first: wanted.min(longest), longest };
        let Some(step) = line.search(&mut function, &mut n_evaluations) else {
            if history.pairs.is_empty() {
                break;
            }
            // The remembered curvature may be what misleads: once more straight down.
            history.pairs.clear();
            continue;
        };
        history.push(&at, &gradient, &step.point, &step.gradient);
        let moved = step.length * length;
        (at, gradient, value) = (step.point, step.gradient, step.value);
        if moved < settings.step_min {
            break;
        }
    }
    Minimum { point: at, value, n_iterations, n_evaluations }
}

/// A half line downhill.
struct Line<'a> {
    at: &'a [f64],
    direction: &'a [f64],
    value: f64,
    slope: f64,
    first: f64,
    longest: f64,
}

/// A point of a line.
struct Step {
    length: f64,
    point: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

impl Line<'_> {
    /// A step that leads down far enough and flattens the slope; `None` where none was found.
    fn search(&self, function: &mut impl FnMut(&[f64], &mut [f64]) -> f64, n_evaluations: &mut usize) -> Option<Step> {
        let (mut low, mut high) = (0.0, f64::INFINITY);
        let mut length = self.first;
        let mut best: Option<Step> = None;
        for _ in 0..LINE_EVALUATIONS_MAX {
            let point: Vec<f64> = self.at.iter().zip(self.direction).map(|(x, d)| x + length * d).collect();
            let mut gradient = vec![0.0; point.len()];
            let value = function(&point, &mut gradient);
            *n_evaluations += 1;
            let far_enough_down = value.is_finite() && value <= self.value + DECREASE * length * self.slope;
            if far_enough_down {
                let slope = dot(&gradient, self.direction);
                let done = slope >= SLOPE_LEFT * self.slope || length >= self.longest;
                low = length;
                best = Some(Step { length, point, value, gradient });
                if done {
                    return best;
                }
            } else {
                high = length;
            }
            length = if high.is_finite() { self.between(low, high, value) } else { (2.0 * length).min(self.longest) };
        }
        best
    }

    /// The next length inside a bracket: the vertex of the parabola through the start and the failed end where that lies
    /// well inside, else the middle.
    fn between(&self, low: f64, high: f64, value_high: f64) -> f64 {
        let middle = 0.5 * (low + high);
        if low > 0.0 || !value_high.is_finite() {
            return middle;
        }
        let curvature = value_high - self.value - self.slope * high;
        let vertex = -self.slope * high * high / (2.0 * curvature);
        if vertex.is_finite() { vertex.clamp(0.1 * high, 0.7 * high) } else { middle }
    }
}

/// Differences of the last points and gradients.
struct History {
    pairs: Vec<Pair>,
    memory: usize,
}

struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    curvature: f64,
}

impl History {
    /// Minus the inverse of the remembered curvature times the gradient.
    fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut shares = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let share = dot(&pair.step, &q) / pair.curvature;
            subtract(&mut q, share, &pair.change);
            shares.push(share);
        }
        if let Some(last) = self.pairs.last() {
            let scale = last.curvature / dot(&last.change, &last.change);
            q.iter_mut().for_each(|value| *value *= scale);
        }
        for (pair, share) in self.pairs.iter().zip(shares.into_iter().rev()) {
            let other = dot(&pair.change, &q) / pair.curvature;
            subtract(&mut q, other - share, &pair.step);
        }
        q
    }

    /// A pair without positive curvature would make the direction lead uphill and is left out.
    fn push(&mut self, at: &[f64], gradient: &[f64], next: &[f64], next_gradient: &[f64]) {
        let step: Vec<f64> = next.iter().zip(at).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = next_gradient.iter().zip(gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&step, &change);
        if curvature > 1e-10 * norm(&step) * norm(&change) {
            if self.pairs.len() == self.memory {
                self.pairs.remove(0);
            }
            self.pairs.push(Pair { step, change, curvature });
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// a -= s b
fn subtract(a: &mut [f64], s: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a -= s * b);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings =
        Settings { memory: 6, iterations_max: 200, step_first: 0.1, step_max: 10.0, step_min: 1e-9 };

    #[test]
    fn the_bottom_of_rosenbrocks_valley_is_found() {
        let found = minimise(&[-1.2, 1.0], &SETTINGS, |x, gradient| {
            let bend = x[1] - x[0] * x[0];
            gradient[0] = -400.0 * x[0] * bend - 2.0 * (1.0 - x[0]);
            gradient[1] = 200.0 * bend;
            100.0 * bend * bend + (1.0 - x[0]).powi(2)
        });
        assert!(found.point.iter().all(|x| (x - 1.0).abs() < 1e-6), "{found:?}");
        assert!(found.n_evaluations < 100, "{found:?}");
    }

    #[test]
    fn a_quadratic_of_many_variables_takes_few_evaluations() {
        let found = minimise(&[1.0; 40], &SETTINGS, |x, gradient| {
            let mut value = 0.0;
            for ((k, x), g) in (1u8..).zip(x).zip(gradient) {
                *g = f64::from(k) * x;
                value += 0.5 * f64::from(k) * x * x;
            }
            value
        });
        assert!(found.value < 1e-12, "{found:?}");
        assert!(found.n_evaluations < 80, "{}", found.n_evaluations);
    }

    #[test]
    fn a_wall_is_not_crossed_and_a_kink_is_no_trouble() {
        let walled = minimise(&[3.0], &SETTINGS, |x, gradient| {
            gradient[0] = 1.0;
            if x[0] < 1.0 { f64::INFINITY } else { x[0] }
        });
        assert!(walled.value >= 1.0 && walled.value < 1.01, "{walled:?}");
        let kink = minimise(&[5.0, -3.0], &SETTINGS, |x, gradient| {
            gradient[0] = x[0].signum();
            gradient[1] = 2.0 * x[1];
            x[0].abs() + x[1] * x[1]
        });
        assert!(kink.value < 1e-2, "{kink:?}");
    }

    #[test]
    fn a_flat_function_and_one_that_is_not_finite_end_at_once() {
        let flat = minimise(&[2.0], &SETTINGS, |_, gradient| {
            gradient[0] = 0.0;
            7.0
        });
        assert_eq!((flat.point, flat.n_evaluations), (vec![2.0], 1));
        let broken = minimise(&[2.0], &SETTINGS, |_, _| f64::NAN);
        assert_eq!((broken.point, broken.n_iterations), (vec![2.0], 0));
    }
}
