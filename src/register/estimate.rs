//! Both estimators on one pair, and how well they agree.

use super::consensus;
use super::linear::Frame;
use super::pyramid::{Level, NoEstimate, Pyramid};
use super::search::{self, Candidate};
use super::settings::Estimation;
use crate::image::Affine;

/// What the estimators found.
pub(super) struct Estimate {
    /// A map between the two estimators' maps, else the first one's.
    pub map: Affine,
    /// The first estimator's.
    pub by_measure: Candidate,
    /// The second estimator's; `None` where too few blocks found a partner.
    pub by_blocks: Option<Affine>,
    /// Whether most starts of the second estimator met there.
    pub most_met: bool,
    /// Candidates of the coarsest level, the best first.
    pub coarse: Vec<Candidate>,
    /// The samples' centre and extent.
    pub frame: Frame,
    /// How far apart the estimators ended, each on its own way; `None` where there is one alone.
    apart_mm: Option<f64>,
}

/// The second estimator's weight where both are far apart: on real patients under known motions its maps scatter by a quarter
/// to a third more than the first one's, and weights go by the inverse squares.
const BLOCKS_SHARE: f64 = 0.4;

/// Runs both estimators.
///
/// The second one is offered the same starts as the first but chooses among them by its own measure, and follows its own way
/// to the finest level: where both end at one place, neither led the other there. Only after the distance between them is
/// taken does the first one try the second one's place, and move there if that is better by its own measure: an estimator
/// that is led to the other's place would often stay near it, also where the images have nothing in common.
pub(super) fn estimate(pyramid: &Pyramid, settings: &Estimation) -> Result<Estimate, NoEstimate> {
    let found = search::search(pyramid, settings)?;
    let finest = pyramid.levels.last().ok_or(NoEstimate::TooSmall)?;
    let frame = finest.samples.frame();
    let met = consensus::by_blocks(pyramid, &found.starts, &frame, settings);
    let (by_blocks, most_met) = (met.map(|met| met.map), met.is_some_and(|met| met.most));
    let mut by_measure = found.best;
    let apart_mm = by_blocks.map(|other| frame.distance_mm(&by_measure.map, &other));
    if let Some(other) = by_blocks.filter(|_| apart_mm > Some(settings.agreement_mm)) {
        let again = search::refine(finest, &other, settings);
        if again.cost < by_measure.cost {
            by_measure = again;
        }
    }
    let map = by_blocks.map_or(by_measure.map, |other| {
        let share = share_of_blocks(frame.distance_mm(&by_measure.map, &other), settings.agreement_mm);
        frame.between(&by_measure.map, &other, share)
    });
    Ok(Estimate { map, by_measure, by_blocks, most_met, coarse: found.coarse, frame, apart_mm })
}

/// How far from the first estimator's map towards the second one's the truth is sought.
///
/// Where they nearly meet, the first one is the finer: a block knows its place to a part of its voxels only. A few millimetres
/// apart, there is something that one of them does not see (a limb that moved by itself, a contrast that misleads): nobody
/// knows which, and they are weighted as they scatter. The farther apart they are, the likelier is one of them lost, and the
/// one with the many starts is kept: the share falls smoothly to nothing at the end of its reach (as the biweight of Beaton
/// and Tukey 1974).
fn share_of_blocks(apart_mm: f64, agreement_mm: f64) -> f64 {
    let (square, own) = (apart_mm * apart_mm, 0.25 * agreement_mm * agreement_mm);
    let within_reach = (1.0 - square / (search::REACH_MM * search::REACH_MM)).max(0.0).powi(2);
    BLOCKS_SHARE * square / (square + own).max(f64::MIN_POSITIVE) * within_reach
}

impl Estimate {
    /// How far the first estimator's map is from that of the images with their roles exchanged, mm.
    pub fn inverse_consistency_mm(&self, finest: &Level, settings: &Estimation) -> Option<f64> {
        let (samples, moving) = finest.exchanged()?;
        let back = search::refine_on(&samples, &moving, &self.by_measure.map.inverse(), settings);
        Some(self.frame.distance_mm(&self.by_measure.map, &back.map.inverse()))
    }

    /// How far apart the estimators ended, each on its own way, mm; `None` where there is one alone.
    pub fn disagreement_mm(&self) -> Option<f64> {
        self.apart_mm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_estimator_counts_little_nearby_most_some_millimetres_off_and_not_at_all_where_one_is_lost() {
        let share = |apart: f64| share_of_blocks(apart, 3.0);
        assert!(share(0.0).abs() < 1e-12 && share(0.5) < 0.05);
        assert!((share(1.5) - 0.2 * 0.99 * 0.99).abs() < 1e-12);
        assert!(share(4.0) > 0.3 && share(4.0) < BLOCKS_SHARE);
        assert!(share(9.0) < share(4.0) && share(14.0) < 0.01);
        assert!(share(15.0).abs() < 1e-12 && share(40.0).abs() < 1e-12);
    }
}
