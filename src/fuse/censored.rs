//! How good predicted probabilities are where follow-up ends early: by inverse probability of censoring, and against Kaplan
//! and Meier.

use super::outcome::Survival;

/// Kaplan and Meier's estimate, as steps of time and the part of patients without the event from then on. `ends` tells what
/// counts as the event: of deaths, or of censoring.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn kaplan_meier(follow_up: &[Survival], ends: impl Fn(&Survival) -> bool) -> Vec<(f64, f64)> {
    let mut order: Vec<&Survival> = follow_up.iter().collect();
    order.sort_by(|a, b| a.time.total_cmp(&b.time));
    let (mut at_risk, mut left) = (order.len() as f64, 1.0);
    let mut steps = Vec::new();
    for tied in order.chunk_by(|a, b| a.time.total_cmp(&b.time).is_eq()) {
        // Who is censored at a time outlasts those who have the event then.
        let n_events = tied.iter().filter(|patient| patient.event).count() as f64;
        let n_ends = tied.iter().filter(|patient| ends(patient)).count() as f64;
        let exposed =
            if tied.iter().any(|patient| patient.event && ends(patient)) { at_risk } else { at_risk - n_events };
        if n_ends > 0.0 && exposed > 0.0 {
            left *= 1.0 - n_ends / exposed;
            steps.push((tied[0].time, left));
        }
        at_risk -= tied.len() as f64;
    }
    steps
}

/// The value of steps just before a time, or at it.
fn value_at(steps: &[(f64, f64)], time: f64, inclusive: bool) -> f64 {
    let before = |at: &f64| if inclusive { *at <= time } else { *at < time };
    steps.iter().take_while(|(at, _)| before(at)).last().map_or(1.0, |(_, value)| *value)
}

/// Brier score of the probability of an event by a horizon, each patient weighed by the inverse probability of being followed
/// (Graf et al. 1999): those whose follow-up ended before the horizon without the event have no weight, the others stand for
/// them. `None` without patients, or where nobody was followed to the horizon.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn brier_censored(probabilities: &[f64], follow_up: &[Survival], horizon: f64) -> Option<f64> {
    let censoring = kaplan_meier(follow_up, |patient| !patient.event);
    let at_horizon = value_at(&censoring, horizon, true);
    let mut sum = 0.0;
    for (probability, patient) in probabilities.iter().zip(follow_up) {
        if patient.time <= horizon && patient.event {
            sum += (1.0 - probability).powi(2) / value_at(&censoring, patient.time, false);
        } else if patient.time > horizon {
            if at_horizon <= 0.0 {
                return None;
            }
            sum += probability.powi(2) / at_horizon;
        }
    }
    let n = probabilities.len().min(follow_up.len());
    (n > 0 && sum.is_finite()).then(|| sum / n as f64)
}

/// Calibration in the large at a horizon: what must be added to the logarithm of every cumulative hazard so that as many
/// events are expected as Kaplan and Meier found; 0 is right. `None` where either is 0 or 1.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn calibration_at(probabilities: &[f64], follow_up: &[Survival], horizon: f64) -> Option<f64> {
    let observed = value_at(&kaplan_meier(follow_up, |patient| patient.event), horizon, true);
    let expected = 1.0 - probabilities.iter().sum::<f64>() / probabilities.len().max(1) as f64;
    let log_hazard = |left: f64| (-left.ln()).ln();
    let shift = log_hazard(observed) - log_hazard(expected);
    shift.is_finite().then_some(shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn at(time: f64, event: bool) -> Survival {
        Survival { time, event }
    }

    #[test]
    fn without_censoring_it_is_the_plain_brier_score() {
        let follow_up = [at(1.0, true), at(2.0, true), at(3.0, true), at(4.0, true)];
        let probabilities = [0.9, 0.4, 0.3, 0.1];
        let plain = (0.01 + 0.36 + 0.09 + 0.01) / 4.0;
        assert_relative_eq!(brier_censored(&probabilities, &follow_up, 2.5).unwrap(), plain, epsilon = 1e-12);
    }

    #[test]
    fn who_is_censored_is_stood_for_by_those_who_are_followed_on() {
        // At 2 one of three is censored: 2/3 are still followed, and each of them counts 3/2.
        let follow_up = [at(1.0, true), at(2.0, false), at(3.0, true), at(5.0, false)];
        let probabilities = [0.8, 0.5, 0.6, 0.2];
        let by_hand = (0.04 + 0.16 * 1.5 + 0.04 * 1.5) / 4.0;
        assert_relative_eq!(brier_censored(&probabilities, &follow_up, 4.0).unwrap(), by_hand, epsilon = 1e-12);
        assert_eq!(brier_censored(&[], &[], 4.0), None);
    }

    #[test]
    fn kaplan_and_meier_by_hand_with_an_event_and_a_censoring_at_one_time() {
        let follow_up = [at(1.0, true), at(2.0, true), at(2.0, false), at(4.0, true), at(6.0, false)];
        let steps = kaplan_meier(&follow_up, |patient| patient.event);
        let expected = [(1.0, 0.8), (2.0, 0.6), (4.0, 0.3)];
        assert_eq!(steps.len(), 3);
        for (found, expected) in steps.iter().zip(expected) {
            assert_relative_eq!(found.0, expected.0);
            assert_relative_eq!(found.1, expected.1, epsilon = 1e-12);
        }
        // Of censoring: at 2 three are left when the event of that time is over.
        let censoring = kaplan_meier(&follow_up, |patient| !patient.event);
        assert_relative_eq!(censoring[0].1, 2.0 / 3.0, epsilon = 1e-12);
    }

    #[test]
    fn as_many_events_as_expected_are_calibrated_and_half_as_many_are_not() {
        let follow_up = [at(1.0, true), at(2.0, true), at(3.0, false), at(4.0, false)];
        assert_relative_eq!(calibration_at(&[0.5; 4], &follow_up, 2.5).unwrap(), 0.0, epsilon = 1e-12);
        assert!(calibration_at(&[0.8; 4], &follow_up, 2.5).unwrap() < -0.5);
        assert_eq!(calibration_at(&[0.5; 4], &follow_up, 0.5), None);
    }
}
