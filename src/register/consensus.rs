//! The second estimator's way from coarse to fine: several starts are followed, and its map is where most of them meet.
//!
//! A block that finds no partner of its own takes one that looks like it, and where the fit ends depends on where it began.
//! No number tells which end is the true one (the blocks of a map that is 5 mm off may resemble each other more than those of
//! the truth), but what leads to the truth ends together: the map is the mean of those around the medoid. Where most starts
//! end elsewhere nobody vouches for it: so it is with images that have nothing in common.

use rayon::prelude::*;

use super::blocks::{self, Schedule, Side};
use super::linear::Frame;
use super::pyramid::{Level, Pyramid};
use super::search;
use super::settings::Estimation;
use crate::image::Affine;

/// Rounds at the first level, which come from afar, and at each finer one.
const ROUNDS_FIRST: usize = 8;
const ROUNDS_LATER: usize = 3;
/// Blocks in either image that make a level worth matching.
const BLOCKS_MIN: usize = 100;
/// Starts that are followed, and of those that meet how many at the finest level.
const FOLLOWED: usize = 7;
const FOLLOWED_FINEST: usize = 5;
/// Maps closer than this to the medoid have met, and farther ones are equally far, mm.
const CONSENSUS_MM: f64 = 10.0;

/// Where the second estimator ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Met {
    pub map: Affine,
    /// Whether most of its starts met there, at the level before the finest one and at the finest.
    pub most: bool,
}

/// Where the best starts meet; `None` where too few blocks found a partner.
pub(super) fn by_blocks(pyramid: &Pyramid, starts: &[Affine], frame: &Frame, settings: &Estimation) -> Option<Met> {
    // Blocks of the coarsest levels may be as large as the image.
    let n_coarse = pyramid.levels.len().saturating_sub(1);
    let usable = |level: &Level| blocks::n_blocks(fixed(level)).min(blocks::n_blocks(moving(level))) >= BLOCKS_MIN;
    let first = pyramid.levels.iter().take(n_coarse).position(usable).unwrap_or(n_coarse);
    let (finest, coarser) = pyramid.levels.get(first..)?.split_last()?;
    let mut maps = most_alike(coarser.first().unwrap_or(finest), starts, frame);
    let mut rounds = ROUNDS_FIRST;
    for level in coarser {
        maps = followed(level, &maps, rounds, settings);
        rounds = ROUNDS_LATER;
    }
    let mut most = true;
    if !coarser.is_empty() {
        let around = around_medoid(&maps, frame);
        most = 2 * around.len() > maps.len();
        maps = around;
        maps.truncate(FOLLOWED_FINEST);
    }
    let ends = followed(finest, &maps, rounds, settings);
    let around = around_medoid(&ends, frame);
    Some(Met { map: mean(&around, frame)?, most: most && 2 * around.len() > ends.len() })
}

/// The starts at which the blocks resemble each other most, each place once.
fn most_alike(level: &Level, starts: &[Affine], frame: &Frame) -> Vec<Affine> {
    let score = |map: &Affine| blocks::resemblance(fixed(level), moving(level), map);
    let mut ranked: Vec<(f64, Affine)> = starts.par_iter().map(|map| (score(map), *map)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut kept: Vec<Affine> = Vec::new();
    for (_, map) in ranked {
        if kept.len() < FOLLOWED && kept.iter().all(|other| frame.distance_mm(other, &map) >= search::DISTINCT_MM) {
            kept.push(map);
        }
    }
    kept
}

/// Where the maps lead at one level; those along which too few blocks find a partner lead nowhere.
fn followed(level: &Level, maps: &[Affine], rounds_max: usize, settings: &Estimation) -> Vec<Affine> {
    let step_min_mm = 0.03 * level.fixed.geometry.spacing_mm[0];
    let schedule = Schedule { rounds_max, kept: settings.blocks_kept, step_min_mm };
    maps.par_iter().filter_map(|map| blocks::refine(fixed(level), moving(level), map, &schedule)).collect()
}

/// The maps around the one that is nearest to all (of two as near the first), the nearest to it first.
fn around_medoid(maps: &[Affine], frame: &Frame) -> Vec<Affine> {
    let apart = |a: &Affine, b: &Affine| frame.distance_mm(a, b).min(CONSENSUS_MM);
    let farness = |map: &Affine| maps.iter().map(|other| apart(map, other)).sum::<f64>();
    let Some(medoid) = maps.iter().min_by(|a, b| farness(a).total_cmp(&farness(b))) else { return Vec::new() };
    let mut around: Vec<Affine> = maps.iter().filter(|map| apart(medoid, map) < CONSENSUS_MM).copied().collect();
    around.sort_by(|a, b| apart(medoid, a).total_cmp(&apart(medoid, b)));
    around
}

/// The mean of maps that lie near each other; `None` of none.
fn mean(maps: &[Affine], frame: &Frame) -> Option<Affine> {
    let (first, rest) = maps.split_first()?;
    let mut n = 1.0;
    Some(rest.iter().fold(*first, |mean, map| {
        n += 1.0;
        frame.between(&mean, map, 1.0 / n)
    }))
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
    fn maps_meet_where_most_of_them_are_and_those_that_are_lost_count_for_nothing() {
        let frame = Frame { centre: [10.0, -20.0, 300.0], radius: 80.0 };
        let at = |x: f64| Affine::translation([x, 0.0, 0.0]);
        let meeting = |shifts: &[f64]| {
            let maps: Vec<Affine> = shifts.iter().map(|x| at(*x)).collect();
            around_medoid(&maps, &frame).iter().map(|map| map.apply([0.0; 3])[0]).collect::<Vec<_>>()
        };
        assert_eq!(meeting(&[]), Vec::<f64>::new());
        assert_eq!(meeting(&[7.0]), [7.0]);
        assert_eq!(meeting(&[60.0, 1.0, -90.0, 2.0, 2.5]), [2.0, 2.5, 1.0]);
        // Where none are near each other the first one stands.
        assert_eq!(meeting(&[40.0, 0.0, -40.0]), [40.0]);
    }

    #[test]
    fn the_mean_of_turns_and_shifts_is_the_mean_turn_and_shift() {
        let frame = Frame { centre: [10.0, -20.0, 300.0], radius: 80.0 };
        let map = |angle: f64, x: f64| Affine::rigid([0.0, 0.0, angle], frame.centre, [x, 0.0, 0.0]);
        let found = mean(&[map(0.02, 1.0), map(0.05, 4.0), map(0.08, 4.0)], &frame).unwrap();
        assert!(frame.distance_mm(&found, &map(0.05, 3.0)) < 1e-2);
        assert_eq!(mean(&[], &frame), None);
    }
}
