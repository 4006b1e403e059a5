//! How good predictions are: discrimination, calibration, net benefit.

use serde::{Deserialize, Serialize};

use super::cox::{CoxSettings, Ties, cox};
use super::design::Design;
use super::elastic_net::{ElasticNet, Lambdas, logistic_path};
use super::outcome::{Outcome, Survival};

/// Which pairs of patients count, and how often.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pairing<'a> {
    /// Only pairs of one fold: scores of different folds come from different models and need not compare.
    pub folds: Option<&'a [usize]>,
    /// How often each patient is there, as in a bootstrap sample.
    pub weights: Option<&'a [f64]>,
}

/// The part of comparable pairs that the scores put in the right order, ties counting half; `None` without such a pair.
///
/// For a binary outcome this is the area under the ROC curve; for survival Harrell's C-index: of two patients, the one
/// who had the event earlier should have the higher score. A time that is censored outlasts an equal time with an event.
/// Patients whose score is not finite are left out.
#[must_use]
pub fn discrimination(scores: &[f64], outcome: &Outcome, pairing: Pairing<'_>) -> Option<f64> {
    let weight = |i: usize| pairing.weights.map_or(1.0, |weights| weights[i]);
    let fold = |i: usize| pairing.folds.map_or(0, |folds| folds[i]);
    let usable: Vec<usize> =
        (0..scores.len().min(outcome.n_patients())).filter(|i| scores[*i].is_finite() && weight(*i) > 0.0).collect();
    let (mut pairs, mut right) = (0.0, 0.0);
    for &i in &usable {
        for &j in &usable {
            if fold(i) != fold(j) || !earlier(outcome, i, j) {
                continue;
            }
            let w = weight(i) * weight(j);
            pairs += w;
            right += match scores[i].total_cmp(&scores[j]) {
                std::cmp::Ordering::Greater => w,
                std::cmp::Ordering::Equal => 0.5 * w,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
    (pairs > 0.0).then(|| right / pairs)
}

/// Whether patient i is known to have had the event when j had not.
pub(super) fn earlier(outcome: &Outcome, i: usize, j: usize) -> bool {
    match outcome {
        Outcome::Binary(events) => events[i] && !events[j],
        Outcome::Survival(follow_up) => {
            let (a, b) = (follow_up[i], follow_up[j]);
            a.event && (b.time > a.time || (b.time >= a.time && !b.event))
        }
    }
}

/// The area under the ROC curve by ranks: the same as [`discrimination`] of a binary outcome, for long lists.
#[must_use]
pub fn auc(scores: &[f64], events: &[bool]) -> Option<f64> {
    auc_of_ranks(&ranks(scores), events)
}

/// The same where the ranks are known already.
#[allow(clippy::cast_precision_loss)]
pub(super) fn auc_of_ranks(ranks: &[f64], events: &[bool]) -> Option<f64> {
    let n_events = events.iter().filter(|event| **event).count() as f64;
    let n_others = events.len() as f64 - n_events;
    if n_events < 1.0 || n_others < 1.0 {
        return None;
    }
    let sum: f64 = ranks.iter().zip(events).filter(|(_, event)| **event).map(|(rank, _)| rank).sum();
    Some((sum - n_events * (n_events + 1.0) / 2.0) / (n_events * n_others))
}

/// Ranks from 1, ties sharing their mean rank.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|a, b| values[*a].total_cmp(&values[*b]).is_eq()) {
        let rank = before as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|i| ranks[*i] = rank);
        before += tied.len();
    }
    ranks
}

/// Brier score: the mean squared error of probabilities; `None` without patients.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn brier(probabilities: &[f64], events: &[bool]) -> Option<f64> {
    let n = probabilities.len().min(events.len());
    let errors = probabilities.iter().zip(events).map(|(p, event)| (p - if *event { 1.0 } else { 0.0 }).powi(2));
    (n > 0).then(|| errors.sum::<f64>() / n as f64)
}

/// How far predictions are from what happened.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Regression of the outcome on the linear predictor: 1 is right, below 1 the predictions are too extreme.
    pub slope: f64,
    /// Calibration in the large: what must be added to every logit, 0 is right; 0 for survival, where it has no meaning.
    pub intercept: f64,
}

/// Calibration of linear predictors: logits for a binary outcome, log relative hazards for survival.
///
/// `None` where the regression has no finite answer: constant predictors, perfect separation.
#[must_use]
pub fn calibration(linear: &[f64], outcome: &Outcome) -> Option<Calibration> {
    let x = Design::new(linear.len(), vec![linear.to_vec()]).ok()?;
    match outcome {
        Outcome::Survival(follow_up) => {
            let fit = cox(&x, follow_up, CoxSettings { ties: Ties::Efron, ridge: 0.0 }).ok()?;
            Some(Calibration { slope: *fit.slopes.first()?, intercept: 0.0 })
        }
        Outcome::Binary(events) => {
            let free = ElasticNet { alpha: 1.0, lambdas: Lambdas::Given(vec![0.0]), tolerance: 1e-9 };
            let fit = logistic_path(&x, events, &free).ok()?.pop()?;
            let slope = *fit.model.slopes.first()?;
            // Separation: the slope has no end, the regression only stopped.
            let separated = fit.deviance_ratio > 0.9999;
            (!separated).then_some(Calibration { slope, intercept: calibration_in_the_large(linear, events)? })
        }
    }
}

/// The shift of all logits at which as many events are expected as happened, by Newton's method.
fn calibration_in_the_large(logits: &[f64], events: &[bool]) -> Option<f64> {
    let happened = events.iter().map(|event| if *event { 1.0 } else { 0.0 }).sum::<f64>();
    let mut shift = 0.0f64;
    for _ in 0..100 {
        let p: Vec<f64> = logits.iter().map(|logit| 1.0 / (1.0 + (-(logit + shift)).exp())).collect();
        let curvature: f64 = p.iter().map(|p| p * (1.0 - p)).sum();
        let step = ((happened - p.iter().sum::<f64>()) / curvature.max(1e-12)).clamp(-2.0, 2.0);
        shift += step;
        if step.abs() < 1e-12 {
            break;
        }
    }
    (shift.abs() < 40.0).then_some(shift)
}

/// Net benefit of treating above one threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NetBenefit {
    /// Probability from which one treats.
    pub threshold: f64,
    /// Of treating by the model.
    pub model: f64,
    /// Of treating everyone; treating nobody has 0.
    pub treat_all: f64,
}

/// Decision curve (Vickers and Elkin 2006): true positives less false positives weighed by the odds of the threshold,
/// per patient. Thresholds outside (0, 1) are left out.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn decision_curve(probabilities: &[f64], events: &[bool], thresholds: &[f64]) -> Vec<NetBenefit> {
    let n = probabilities.len().min(events.len()).max(1) as f64;
    let benefit = |threshold: f64, treat: &dyn Fn(f64) -> bool| {
        let treated = probabilities.iter().zip(events).filter(|(p, _)| treat(**p));
        let (hits, misses) = treated.fold((0.0, 0.0), |(h, m), (_, e)| if *e { (h + 1.0, m) } else { (h, m + 1.0) });
        hits / n - misses / n * threshold / (1.0 - threshold)
    };
    thresholds
        .iter()
        .copied()
        .filter(|threshold| *threshold > 0.0 && *threshold < 1.0)
        .map(|threshold| NetBenefit {
            threshold,
            model: benefit(threshold, &|p| p >= threshold),
            treat_all: benefit(threshold, &|_| true),
        })
        .collect()
}

/// Cox's baseline: cumulative hazard (Breslow) for a linear predictor of 0, as steps of time and value.
#[must_use]
pub fn baseline_hazard(linear: &[f64], follow_up: &[Survival]) -> Vec<(f64, f64)> {
    let mut order: Vec<usize> = (0..follow_up.len().min(linear.len())).collect();
    order.sort_by(|a, b| follow_up[*a].time.total_cmp(&follow_up[*b].time));
    let mut at_risk: f64 = order.iter().map(|i| linear[*i].exp()).sum();
    let mut hazard = 0.0;
    let mut steps = Vec::new();
    for tied in order.chunk_by(|a, b| follow_up[*a].time.total_cmp(&follow_up[*b].time).is_eq()) {
        let events = tied.iter().filter(|i| follow_up[**i].event).count();
        if events > 0 && at_risk > 0.0 {
            #[allow(clippy::cast_precision_loss)]
            {
                hazard += events as f64 / at_risk;
            }
            steps.push((follow_up[tied[0]].time, hazard));
        }
        at_risk -= tied.iter().map(|i| linear[*i].exp()).sum::<f64>();
    }
    steps
}

/// The .632+ estimate of an error (Efron and Tibshirani 1997) from the apparent error, the error on patients left out of
/// bootstrap samples, and the error that predictions without information would make.
#[must_use]
pub fn point_632_plus(apparent: f64, left_out: f64, no_information: f64) -> f64 {
    let left_out = left_out.min(no_information);
    let overfitting = if left_out > apparent && no_information > apparent {
        (left_out - apparent) / (no_information - apparent)
    } else {
        0.0
    };
    let weight = 0.632 / (1.0 - 0.368 * overfitting);
    (1.0 - weight) * apparent + weight * left_out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::Stream;
    use approx::assert_relative_eq;

    fn binary(n: usize, seed: u64) -> (Vec<f64>, Vec<bool>) {
        let mut stream = Stream::new(seed, 0, 0);
        let logits: Vec<f64> = (0..n).map(|_| 1.5 * stream.normal()).collect();
        let events = logits.iter().map(|logit| stream.uniform() < 1.0 / (1.0 + (-logit).exp())).collect();
        (logits, events)
    }

    #[test]
    fn auc_by_ranks_equals_auc_by_pairs_with_ties() {
        let (logits, events) = binary(90, 1);
        let coarse: Vec<f64> = logits.iter().map(|x| (x * 2.0).round()).collect();
        let pairs = discrimination(&coarse, &Outcome::Binary(events.clone()), Pairing::default()).unwrap();
        assert_relative_eq!(auc(&coarse, &events).unwrap(), pairs, epsilon = 1e-12);
        assert_eq!(auc(&[1.0, 2.0], &[true, true]), None);
        assert_relative_eq!(auc(&[1.0, 2.0, 3.0], &[false, false, true]).unwrap(), 1.0);
        assert_relative_eq!(auc(&[1.0, 1.0, 1.0], &[false, false, true]).unwrap(), 0.5);
    }

    #[test]
    fn pairs_of_different_folds_and_of_weight_zero_do_not_count() {
        let outcome = Outcome::Binary(vec![true, false, true, false]);
        let scores = [2.0, 1.0, 12.0, 11.0];
        let within = Pairing { folds: Some(&[0, 0, 1, 1]), weights: None };
        assert_relative_eq!(discrimination(&scores, &outcome, within).unwrap(), 1.0);
        assert_relative_eq!(discrimination(&scores, &outcome, Pairing::default()).unwrap(), 0.75);
        let weights = Pairing { folds: None, weights: Some(&[1.0, 1.0, 0.0, 3.0]) };
        assert_relative_eq!(discrimination(&scores, &outcome, weights).unwrap(), 0.25);
    }

    #[test]
    fn a_censored_patient_counts_until_the_end_of_follow_up() {
        let at = |time, event| Survival { time, event };
        let outcome = Outcome::Survival(vec![at(1.0, true), at(2.0, false), at(3.0, true), at(3.0, false)]);
        // Comparable: (0,1) (0,2) (0,3) and (2,3), whose times are equal.
        let c = discrimination(&[4.0, 9.0, 2.0, 1.0], &outcome, Pairing::default()).unwrap();
        assert_relative_eq!(c, 0.75);
    }

    #[test]
    fn honest_probabilities_are_calibrated_and_doubled_logits_have_half_the_slope() {
        let (logits, events) = binary(6000, 2);
        let outcome = Outcome::Binary(events);
        let honest = calibration(&logits, &outcome).unwrap();
        assert_relative_eq!(honest.slope, 1.0, epsilon = 0.08);
        assert_relative_eq!(honest.intercept, 0.0, epsilon = 0.08);
        let doubled: Vec<f64> = logits.iter().map(|x| 2.0 * x + 1.0).collect();
        let extreme = calibration(&doubled, &outcome).unwrap();
        assert_relative_eq!(extreme.slope, honest.slope / 2.0, epsilon = 1e-6);
        assert!(extreme.intercept < -0.5);
        assert_eq!(calibration(&[-1.0, -2.0, 1.0, 2.0], &Outcome::Binary(vec![false, false, true, true])), None);
    }

    #[test]
    fn decision_curves_weigh_false_positives_by_the_odds() {
        let curve = decision_curve(&[0.9, 0.6, 0.4, 0.1], &[true, false, true, false], &[0.5, 0.2, 1.0]);
        assert_eq!(curve.len(), 2);
        assert_relative_eq!(curve[0].model, 0.25 - 0.25);
        assert_relative_eq!(curve[0].treat_all, 0.0);
        assert_relative_eq!(curve[1].model, 0.5 - 0.25 * 0.25);
    }

    #[test]
    fn without_overfitting_the_632_plus_is_the_632() {
        assert_relative_eq!(point_632_plus(0.2, 0.2, 0.5), 0.2, epsilon = 1e-12);
        // Complete overfitting: only the patients left out count.
        assert_relative_eq!(point_632_plus(0.0, 0.5, 0.5), 0.5, epsilon = 1e-12);
        let half = point_632_plus(0.1, 0.3, 0.5);
        let weight = 0.632 / (1.0 - 0.368 * 0.5);
        assert_relative_eq!(half, 0.1 * (1.0 - weight) + 0.3 * weight, epsilon = 1e-12);
    }

    #[test]
    fn the_baseline_hazard_without_covariates_is_that_of_nelson_and_aalen() {
        let at = |time, event| Survival { time, event };
        let steps = baseline_hazard(&[0.0; 4], &[at(2.0, true), at(1.0, true), at(1.0, true), at(3.0, false)]);
        assert_eq!(steps.len(), 2);
        assert_relative_eq!(steps[0].1, 0.5);
        assert_relative_eq!(steps[1].1, 1.0);
    }
}
