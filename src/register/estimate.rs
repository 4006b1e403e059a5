//! Both estimators on one pair, and how well they agree.

use super::blocks::{self, Schedule, Side};
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
    /// Candidates of the coarsest level, the best first.
    pub coarse: Vec<Candidate>,
    /// The samples' centre and extent.
    pub frame: Frame,
}

/// Rounds of the second estimator at each level.
const ROUNDS_MAX: usize = 8;
/// Blocks in either image that make a level worth matching.
const BLOCKS_MIN: usize = 100;
/// Starts of the second estimator that are followed at the coarsest level.
const FOLLOWED: usize = 3;

/// The second estimator's weight where both are far apart: on real patients under known motions its maps scatter by a quarter
/// to a third more than the first one's, and weights go by the inverse squares.
const BLOCKS_SHARE: f64 = 0.4;

/// Runs both estimators.
///
/// The second one is offered the same starts as the first but chooses among them by its own measure, and follows its own way
/// to the finest level: where both end at one place, neither led the other there. Where they differ, the first one tries the
/// second one's place and moves there if that is better by its own measure.
pub(super) fn estimate(pyramid: &Pyramid, settings: &Estimation) -> Result<Estimate, NoEstimate> {
    let found = search::search(pyramid, settings)?;
    let finest = pyramid.levels.last().ok_or(NoEstimate::TooSmall)?;
    let frame = finest.samples.frame();
    let by_blocks = by_blocks(pyramid, &found.starts, settings);
    let mut by_measure = found.best;
    if let Some(other) = by_blocks.filter(|map| frame.distance_mm(map, &by_measure.map) > settings.agreement_mm) {
        let again = search::refine(finest, &other, settings);
        if again.cost < by_measure.cost {
            by_measure = again;
        }
    }
    let map = by_blocks.map_or(by_measure.map, |other| {
        let share = share_of_blocks(frame.distance_mm(&by_measure.map, &other), settings.agreement_mm);
        frame.between(&by_measure.map, &other, share)
    });
    Ok(Estimate { map, by_measure, by_blocks, coarse: found.coarse, frame })
}

/// How far from the first estimator's map towards the second one's the truth is sought.
///
/// Where they nearly meet, the first one is the finer: a block knows its place to a part of its voxels only. The farther apart
/// they are, the more is there that one of them does not see (a limb that moved by itself, a contrast that misleads): nobody
/// knows which, and they are weighted as they scatter. Beyond reach one of them is lost, and the one with the many starts is
/// kept.
fn share_of_blocks(apart_mm: f64, agreement_mm: f64) -> f64 {
    if apart_mm > search::REACH_MM {
        return 0.0;
    }
    let (square, own) = (apart_mm * apart_mm, 0.25 * agreement_mm * agreement_mm);
    BLOCKS_SHARE * square / (square + own).max(f64::MIN_POSITIVE)
}

impl Estimate {
    /// How far the first estimator's map is from that of the images with their roles exchanged, mm.
    pub fn inverse_consistency_mm(&self, finest: &Level, settings: &Estimation) -> Option<f64> {
        let (samples, moving) = finest.exchanged()?;
        let back = search::refine_on(&samples, &moving, &self.by_measure.map.inverse(), settings);
        Some(self.frame.distance_mm(&self.by_measure.map, &back.map.inverse()))
    }

    /// How far apart the estimators are, mm; `None` where there is one alone.
    pub fn disagreement_mm(&self) -> Option<f64> {
        self.by_blocks.map(|other| self.frame.distance_mm(&self.by_measure.map, &other))
    }
}

/// The second estimator's own way from coarse to fine.
fn by_blocks(pyramid: &Pyramid, starts: &[Affine], settings: &Estimation) -> Option<Affine> {
    // Blocks of the coarsest levels may be as large as the image.
    let n_coarse = pyramid.levels.len().saturating_sub(1);
    let usable = |level: &Level| blocks::n_blocks(fixed(level)).min(blocks::n_blocks(moving(level))) >= BLOCKS_MIN;
    let first = pyramid.levels.iter().take(n_coarse).position(usable).unwrap_or(n_coarse);
    let coarsest = pyramid.levels.get(first)?;
    let score = |map: &Affine| blocks::resemblance(fixed(coarsest), moving(coarsest), map);
    let mut ranked: Vec<(f64, Affine)> = starts.iter().map(|map| (score(map), *map)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let refined = ranked
        .iter()
        .take(FOLLOWED)
        .filter_map(|(_, map)| blocks::refine(fixed(coarsest), moving(coarsest), map, &schedule(coarsest, settings)));
    let mut map = best_resemblance(coarsest, refined)?;
    for level in pyramid.levels.iter().skip(first + 1) {
        map = blocks::refine(fixed(level), moving(level), &map, &schedule(level, settings))?;
    }
    Some(map)
}

/// The map at which the blocks resemble each other most; of two alike the first.
fn best_resemblance(level: &Level, maps: impl Iterator<Item = Affine>) -> Option<Affine> {
    let mut best: Option<(f64, Affine)> = None;
    for map in maps {
        let score = blocks::resemblance(fixed(level), moving(level), &map);
        if best.is_none_or(|(highest, _)| score > highest) {
            best = Some((score, map));
        }
    }
    best.map(|(_, map)| map)
}

fn schedule(level: &Level, settings: &Estimation) -> Schedule {
    let spacing = level.fixed.geometry.spacing_mm[0];
    Schedule { rounds_max: ROUNDS_MAX, kept: settings.blocks_kept, step_min_mm: 0.03 * spacing }
}

fn fixed(level: &Level) -> Side<'_> {
    Side { image: &level.fixed, mask: &level.fixed_body }
}

fn moving(level: &Level) -> Side<'_> {
    Side { image: &level.moving, mask: &level.moving_body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_estimator_counts_little_nearby_most_far_off_and_not_at_all_where_one_is_lost() {
        let share = |apart: f64| share_of_blocks(apart, 3.0);
        assert!(share(0.0).abs() < 1e-12 && share(0.5) < 0.05);
        assert!((share(1.5) - 0.2).abs() < 1e-12);
        assert!(share(6.0) > 0.35 && share(14.0) <= BLOCKS_SHARE);
        assert!(share(16.0).abs() < 1e-12);
    }
}
