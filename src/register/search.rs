//! The first estimator: many starts at the coarsest resolution, the best of them refined to the finest.
//!
//! Starts are the header's identity, the middles of the two boxes and the middles of the two bodies laid on each other, each
//! with a lattice of shifts; the best of these with rotations about each axis; the best of those go down the gradient. What
//! ends at one place is one candidate; at each finer resolution fewer are kept.
//!
//! Candidates are ranked by value and, where equal, by their number: the result is the same for any number of threads.

use rayon::prelude::*;

use super::binned::Binned;
use super::linear::Frame;
use super::nmi::{Measure, Scratch, Value};
use super::pyramid::{Level, NoEstimate, Pyramid, centroid};
use super::samples::Samples;
use super::settings::{Estimation, Similarity};
use crate::image::Affine;
use crate::math::linalg::{self, Vec3};
use crate::math::optimise;

/// Shifts tried about each start, along each axis, mm.
const SHIFTS_MM: [f64; 5] = [-32.0, -16.0, 0.0, 16.0, 32.0];
/// Rotations tried about each axis, degrees.
const TURNS_DEG: [f64; 4] = [-24.0, -12.0, 12.0, 24.0];
/// Candidates kept after the shifts, after the rotations, and after the refinement at each level from the coarsest on.
const KEPT_SHIFTS: usize = 10;
const KEPT_TURNS: usize = 12;
const KEPT_LEVELS: [usize; 3] = [4, 2, 1];
/// Candidates closer than this are one, mm.
pub(super) const DISTINCT_MM: f64 = 6.0;
/// A start that ends closer to the result than this has found it, mm: the coarsest level's spacing.
pub(super) const REACH_MM: f64 = 15.0;
/// What a missing tenth of overlap below the floor costs: 0.02 of the measure.
const OVERLAP_PENALTY: f64 = 2.0;

/// A map with what was measured on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub map: Affine,
    pub value: Value,
    /// What was minimised.
    pub cost: f64,
}

/// Where the search ended.
pub(super) struct Found {
    pub best: Candidate,
    /// Where it began at the coarsest level: the starts themselves and what the lattices made of them.
    pub starts: Vec<Affine>,
    /// Candidates of the coarsest level after refinement, the best first.
    pub coarse: Vec<Candidate>,
}

/// The best rigid map between the images of a pyramid.
pub(super) fn search(pyramid: &Pyramid, settings: &Estimation) -> Result<Found, NoEstimate> {
    let coarsest = pyramid.levels.first().ok_or(NoEstimate::TooSmall)?;
    let frame = coarsest.samples.frame();
    let measure = Measure::new(&coarsest.samples, &coarsest.binned, settings.measure);
    let floor = settings.overlap_floor;

    let bases = bases(coarsest);
    let shifted: Vec<Affine> = bases
        .iter()
        .flat_map(|base| lattice().into_iter().map(|shift| base.then(&Affine::translation(shift))))
        .collect();
    let shifted = best_distinct(measured(&measure, &shifted, floor), KEPT_SHIFTS, &frame, DISTINCT_MM);
    let turned: Vec<Affine> = shifted.iter().flat_map(|candidate| turns(&candidate.map, &frame)).collect();
    let turned = best_distinct(measured(&measure, &turned, floor), KEPT_TURNS, &frame, DISTINCT_MM);

    let starts = bases.into_iter().chain(turned.iter().map(|candidate| candidate.map)).collect();
    let mut candidates: Vec<Candidate> = turned;
    let mut coarse = Vec::new();
    for (depth, level) in pyramid.levels.iter().enumerate() {
        let refined: Vec<Candidate> =
            candidates.par_iter().map(|candidate| refine(level, &candidate.map, settings)).collect();
        if depth == 0 {
            coarse = best_distinct(refined.clone(), KEPT_TURNS, &frame, 0.0);
        }
        let kept = KEPT_LEVELS.get(depth).copied().unwrap_or(1);
        candidates = best_distinct(refined, kept, &frame, DISTINCT_MM);
    }
    let best = *candidates.first().ok_or(NoEstimate::NoOverlap)?;
    Ok(Found { best, starts, coarse })
}

/// Goes down the gradient from a map at one level.
pub(super) fn refine(level: &Level, start: &Affine, settings: &Estimation) -> Candidate {
    refine_on(&level.samples, &level.binned, start, settings)
}

/// Goes down the gradient from a map on these samples.
pub(super) fn refine_on(samples: &Samples, moving: &Binned, start: &Affine, estimation: &Estimation) -> Candidate {
    let frame = samples.frame();
    let measure = Measure::new(samples, moving, estimation.measure);
    let overlap_floor = estimation.overlap_floor;
    let mut scratch = Scratch::default();
    let spacing = samples.volume_mm3.cbrt();
    let settings = optimise::Settings {
        memory: 6,
        iterations_max: 40,
        step_first: 0.25 * spacing,
        step_max: 2.0 * spacing,
        step_min: 0.005 * spacing,
    };
    let found = optimise::minimise(&frame.rigid_parameters(start), &settings, |parameters, gradient| {
        let (value, sought, overlap) = measure.value_and_gradient(&frame.rigid(parameters), &mut scratch);
        let sought = frame.rigid_gradient(parameters, &sought);
        let overlap = frame.rigid_gradient(parameters, &overlap);
        let pull = 2.0 * OVERLAP_PENALTY * (overlap_floor - value.overlap).max(0.0);
        for ((out, sought), overlap) in gradient.iter_mut().zip(sought).zip(overlap) {
            *out = -sought - pull * overlap;
        }
        cost(value, overlap_floor)
    });
    let map = frame.rigid(&found.point);
    Candidate { map, value: measure.value(&map, &mut scratch), cost: found.value }
}

/// Goes down the gradient over all twelve parameters of an affine map.
pub(super) fn refine_affine(level: &Level, start: &Affine, estimation: &Estimation) -> Candidate {
    let samples = &level.samples;
    let frame = samples.frame();
    let measure = Measure::new(samples, &level.binned, estimation.measure);
    let overlap_floor = estimation.overlap_floor;
    let mut scratch = Scratch::default();
    let spacing = samples.volume_mm3.cbrt();
    let settings = optimise::Settings {
        memory: 8,
        iterations_max: 60,
        step_first: 0.25 * spacing,
        step_max: 2.0 * spacing,
        step_min: 0.005 * spacing,
    };
    let found = optimise::minimise(&frame.affine_parameters(start), &settings, |parameters, gradient| {
        let Some(map) = frame.affine(parameters) else { return f64::INFINITY };
        let (value, sought, overlap) = measure.value_and_gradient(&map, &mut scratch);
        let (sought, overlap) = (frame.affine_gradient(&sought), frame.affine_gradient(&overlap));
        let pull = 2.0 * OVERLAP_PENALTY * (overlap_floor - value.overlap).max(0.0);
        for ((out, sought), overlap) in gradient.iter_mut().zip(sought).zip(overlap) {
            *out = -sought - pull * overlap;
        }
        cost(value, overlap_floor)
    });
    let map = frame.affine(&found.point).unwrap_or(*start);
    Candidate { map, value: measure.value(&map, &mut scratch), cost: found.value }
}

fn cost(value: Value, overlap_floor: f64) -> f64 {
    -value.sought + OVERLAP_PENALTY * (overlap_floor - value.overlap).max(0.0).powi(2)
}

/// Normalised mutual information and overlap of a level at one map.
pub(super) fn value_at(level: &Level, map: &Affine) -> Value {
    Measure::new(&level.samples, &level.binned, Similarity::Nmi).value(map, &mut Scratch::default())
}

/// The measure at many maps.
fn measured(measure: &Measure<'_>, maps: &[Affine], overlap_floor: f64) -> Vec<Candidate> {
    maps.par_iter()
        .map_init(Scratch::default, |scratch, map| {
            let value = measure.value(map, scratch);
            Candidate { map: *map, value, cost: cost(value, overlap_floor) }
        })
        .collect()
}

/// The best candidates, no two of them closer than `apart_mm`.
fn best_distinct(mut candidates: Vec<Candidate>, n: usize, frame: &Frame, apart_mm: f64) -> Vec<Candidate> {
    candidates.retain(|candidate| candidate.cost.is_finite());
    candidates.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        if kept.len() == n {
            break;
        }
        if kept.iter().all(|other| frame.distance_mm(&other.map, &candidate.map) >= apart_mm) {
            kept.push(candidate);
        }
    }
    kept
}

/// The header's identity, the boxes' middles and the bodies' middles; those that say the same only once.
fn bases(level: &Level) -> Vec<Affine> {
    let centres = linalg::sub(level.moving.geometry.centre_mm(), level.fixed.geometry.centre_mm());
    let bodies = linalg::sub(centroid(&level.moving_body), centroid(&level.fixed_body));
    let mut shifts: Vec<Vec3> = Vec::new();
    for shift in [[0.0; 3], centres, bodies] {
        if shifts.iter().all(|other| linalg::norm(linalg::sub(*other, shift)) > DISTINCT_MM) {
            shifts.push(shift);
        }
    }
    shifts.into_iter().map(Affine::translation).collect()
}

fn lattice() -> Vec<Vec3> {
    let axis = |k: usize| SHIFTS_MM[k % SHIFTS_MM.len()];
    (0..SHIFTS_MM.len().pow(3))
        .map(|k| [axis(k), axis(k / SHIFTS_MM.len()), axis(k / SHIFTS_MM.len().pow(2))])
        .collect()
}

/// A map, and the map after rotations of the fixed image about its centre.
fn turns(map: &Affine, frame: &Frame) -> Vec<Affine> {
    let mut turned = vec![*map];
    for axis in 0..3 {
        for degrees in TURNS_DEG {
            let mut w = [0.0; 3];
            w[axis] = degrees.to_radians();
            turned.push(Affine::rigid(w, frame.centre, [0.0; 3]).then(map));
        }
    }
    turned
}
