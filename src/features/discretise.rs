//! From intensities to grey levels 1, 2, 3 … (IBSI 2.7, 4R0B).
//!
//! Fixed bin size (Q3RU): floor((X - anchor) / width) + 1. Fixed bin number (K15C): floor(N (X - min) / (max - min)) + 1,
//! with the maximum in bin N. Both in `f64`. Levels are kept sparsely, by what occurs: neither the number of bins nor an
//! outlier decides how much memory is used.

use super::diagnostics::extremes;
use super::{BinAnchor, Discretise, GreyLevels, Settings};

/// The highest grey level: beyond it integers in the features' formulas would no longer be exact.
const MAX_LEVEL: u32 = 1 << 30;

/// The span of levels up to which occurrences are counted in a table rather than by sorting.
const TABLE_SPAN: u32 = 1 << 20;

/// Why a region has no grey levels.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub(super) enum Ungraded {
    /// The range of intensities is too wide for the bin width.
    #[error("the range of intensities needs {needed:.3e} grey levels, at most {limit} are possible")]
    Range {
        /// Levels that the range needs.
        needed: f64,
        /// Levels that are possible.
        limit: u32,
    },
    /// More different levels than a texture matrix can have rows.
    #[error("{found} different grey levels occur, at most {limit} are possible in a texture matrix")]
    Levels {
        /// Levels that occur.
        found: usize,
        /// Levels that are possible.
        limit: usize,
    },
    /// More voxels in a row than a run can be long.
    #[error("the region is {found} voxels long, at most {limit} are possible in a texture matrix")]
    Length {
        /// Voxels along the longest axis.
        found: usize,
        /// Voxels that are possible.
        limit: usize,
    },
}

/// The rule from intensity to level.
#[derive(Debug, Clone, Copy)]
pub(super) struct Binning {
    /// Where bin 1 starts.
    anchor: f64,
    /// What the distance from the anchor is multiplied with, then divided by.
    factor: f64,
    divisor: f64,
    /// The highest level.
    top: u32,
}

impl Binning {
    /// The rule for intensities between `min` and `max` that were re-segmented from `low`.
    ///
    /// Without discretisation the levels are the rounded intensities, moved so that the least is 1 where it is below.
    pub(super) fn new(
        discretise: Discretise,
        anchor: BinAnchor,
        low: Option<f64>,
        [min, max]: [f64; 2],
    ) -> Result<Self, Ungraded> {
        let (anchor, factor, divisor, needed) = match discretise {
            Discretise::None => {
                let anchor = if min.round() < 1.0 { min.round() - 0.5 } else { 0.5 };
                (anchor, 1.0, 1.0, (max - anchor).floor() + 1.0)
            }
            Discretise::BinWidth(width) => {
                let anchor = match anchor {
                    BinAnchor::Ibsi => low.map_or(min, |low| low.min(min)),
                    BinAnchor::Zero => (min / width).floor() * width,
                };
                (anchor, 1.0, width, ((max - anchor) / width).floor() + 1.0)
            }
            Discretise::Bins(bins) => {
                // All intensities equal: one level, whatever the divisor.
                let range = if max > min { max - min } else { 1.0 };
                (min, f64::from(bins), range, f64::from(bins))
            }
        };
        if !(needed >= 1.0 && needed <= f64::from(MAX_LEVEL)) {
            return Err(Ungraded::Range { needed, limit: MAX_LEVEL });
        }
        Ok(Self { anchor, factor, divisor, top: needed as u32 })
    }

    /// Where bin 1 starts, and how wide the bins are.
    pub(super) fn bins(&self) -> (f64, f64) {
        (self.anchor, self.divisor / self.factor)
    }

    /// The levels of the least and the greatest intensity.
    fn ends(&self, range: [f64; 2]) -> [u32; 2] {
        range.map(|intensity| self.level(intensity as f32))
    }

    /// The level of an intensity of the range.
    pub(super) fn level(&self, intensity: f32) -> u32 {
        // Added to this, a number below 2^32 stands rounded in the lower bits: unlike a conversion that saturates, compilers
        // make vector instructions of it.
        const WHOLE: f64 = (1u64 << 52) as f64;
        // Not below the anchor, but for rounding; a quotient that rounding puts above the top is the top.
        let steps = ((f64::from(intensity) - self.anchor) * self.factor / self.divisor).max(0.0);
        let nearest = steps + WHOLE;
        let floor = nearest.to_bits() as u32 - u32::from(nearest - WHOLE > steps);
        (floor + 1).min(self.top)
    }
}

/// The grey levels of a region.
#[derive(Debug, Clone)]
pub(super) struct GreyLevelCounts {
    /// The levels that occur, ascending, and how many voxels have them.
    pub(super) occupied: Vec<(u32, u64)>,
    /// The number of levels Ng: of bins where it is fixed, else the highest that occurs.
    pub(super) n_levels: u32,
    /// The level of each intensity.
    pub(super) levels: Vec<u32>,
}

impl GreyLevelCounts {
    /// The levels of these intensities, none of them missing, by the settings; `None` when there are no intensities.
    pub(super) fn of(values: &[f32], settings: &Settings) -> Option<Result<Self, Ungraded>> {
        let range = range(values)?;
        let binning = Binning::new(settings.discretise, settings.bin_anchor, settings.resegment.low, range);
        Some(binning.map(|binning| {
            let levels: Vec<u32> = values.iter().map(|value| binning.level(*value)).collect();
            let occupied = occurrences(&levels, binning.ends(range));
            let n_levels = match settings.discretise {
                Discretise::Bins(bins) if occupied.len() > 1 => bins,
                _ => occupied.last().map_or(0, |(level, _)| *level),
            };
            Self { occupied, n_levels, levels }
        }))
    }

    /// In numbers, for the report.
    pub(super) fn diagnostics(&self) -> GreyLevels {
        // At most 2^30 levels are possible.
        GreyLevels { levels: self.n_levels, occupied: self.occupied.len() as u32 }
    }
}

/// Least and greatest intensity.
pub(super) fn range(values: &[f32]) -> Option<[f64; 2]> {
    (!values.is_empty()).then(|| extremes(values).map(f64::from))
}

/// How often each level occurs among intensities of that range, ascending.
pub(super) fn count(values: &[f32], binning: &Binning, range: [f64; 2]) -> Vec<(u32, u64)> {
    let levels: Vec<u32> = values.iter().map(|value| binning.level(*value)).collect();
    occurrences(&levels, binning.ends(range))
}

/// How often each of these levels occurs, ascending; the first and the last are given.
fn occurrences(levels: &[u32], [first, last]: [u32; 2]) -> Vec<(u32, u64)> {
    /// Tables that take turns: the next count need not wait for the last one.
    const TABLES: usize = 4;
    if last - first < TABLE_SPAN {
        let width = (last - first) as usize + 1;
        let mut tables = vec![0u64; width * TABLES];
        for turn in levels.chunks(TABLES) {
            turn.iter().enumerate().for_each(|(table, level)| tables[table * width + (level - first) as usize] += 1);
        }
        let sum = |at: usize| (0..TABLES).map(|table| tables[table * width + at]).sum::<u64>();
        return (first..).zip((0..width).map(sum)).filter(|(_, count)| *count > 0).collect();
    }
    let mut levels = levels.to_vec();
    levels.sort_unstable();
    levels.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(values: &[f32], settings: &Settings) -> Vec<u32> {
        GreyLevelCounts::of(values, settings).unwrap().unwrap().levels
    }

    fn width(width: f64) -> Settings {
        Settings { discretise: Discretise::BinWidth(width), ..Settings::default() }
    }

    #[test]
    fn a_fixed_width_starts_at_the_resegmentation_minimum_and_leaves_low_bins_empty() {
        let mut settings = width(25.0);
        settings.resegment.low = Some(-500.0);
        assert_eq!(levels(&[-450.0, -425.1, -425.0, 0.0], &settings), [3, 3, 4, 21]);
        settings.resegment.low = None;
        assert_eq!(levels(&[-450.0, -425.1, -425.0, 0.0], &settings), [1, 1, 2, 19]);
        settings.bin_anchor = BinAnchor::Zero;
        assert_eq!(levels(&[-449.0, -425.0, -424.9, 0.0], &settings), [1, 2, 2, 19]);
    }

    #[test]
    fn the_maximum_belongs_to_the_last_of_a_fixed_number_of_bins() {
        let settings = Settings { discretise: Discretise::Bins(4), ..Settings::default() };
        assert_eq!(levels(&[0.0, 0.9, 1.0, 2.5, 3.0, 4.0], &settings), [1, 1, 2, 3, 4, 4]);
        let flat = GreyLevelCounts::of(&[7.0, 7.0], &settings).unwrap().unwrap();
        assert_eq!((flat.occupied, flat.n_levels), (vec![(1, 2)], 1));
    }

    #[test]
    fn a_level_is_the_floor_of_the_steps_from_the_anchor_to_the_last_bit() {
        for (anchor, factor, divisor) in [(-1024.0, 1.0, 25.0), (0.1, 64.0, 3.7), (-0.5, 1.0, 1.0)] {
            let binning = Binning { anchor, factor, divisor, top: 1 << 30 };
            for k in 0..200_000u32 {
                let intensity = f32::from_bits((anchor as f32).max(0.0).to_bits().wrapping_add(k * 5300 + 1));
                let steps = (f64::from(intensity) - anchor) * factor / divisor;
                if (0.0..1e9).contains(&steps) {
                    assert_eq!(binning.level(intensity), steps.floor() as u32 + 1, "{intensity}");
                }
            }
        }
        // Rounding may put the least intensity a hair below a bin's start that was found by multiplying.
        let binning = Binning { anchor: 1.0 + f64::EPSILON, factor: 1.0, divisor: 0.1, top: 9 };
        assert_eq!(binning.level(1.0), 1);
    }

    #[test]
    fn integers_are_levels_already_and_are_moved_only_when_one_is_below_1() {
        let settings = Settings::default();
        assert_eq!(levels(&[1.0, 3.0, 4.0, 6.0], &settings), [1, 3, 4, 6]);
        assert_eq!(levels(&[-2.0, 0.0, 5.0], &settings), [1, 3, 8]);
    }

    #[test]
    fn an_outlier_uses_no_memory_and_an_impossible_one_is_refused_by_name() {
        let counts = GreyLevelCounts::of(&[0.0, 1.0, 1e9], &width(1.0)).unwrap().unwrap();
        assert_eq!(counts.occupied.len(), 3);
        let refused = GreyLevelCounts::of(&[0.0, 1e30], &width(1.0)).unwrap().unwrap_err();
        assert!(refused.to_string().contains("1.000e30 grey levels"), "{refused}");
        assert!(GreyLevelCounts::of(&[], &width(1.0)).is_none());
    }
}
