//! Intensity-volume histogram (IBSI 3.5, P88C): which share of the region has at least an intensity.
//!
//! Over levels i from the first to the last of the range, the intensity fraction is (i - first) / (last - first) and the
//! volume fraction the share of voxels at or above i. The range is that of re-segmentation where it has a bound, else that
//! of the region. Levels are: integers as they are (CT); bin centres of a fixed width; grey levels of a fixed number of
//! bins; and where intensities are no integers and not discretised, each intensity that occurs. The area is that under the
//! trapezoids between levels, 0 where there is one level alone.

use super::discretise::{Binning, Ungraded, count, range};
use super::results::Results;
use super::roi::Roi;
use super::table::{Row, Unit};
use super::{Discretise, Family, Settings};

/// The intensity-volume histogram of the region.
pub(super) fn measure(roi: &Roi, settings: &Settings, results: &mut Results) {
    let rows = if matches!(settings.ivh, Discretise::Bins(_)) { &LEVEL_ROWS } else { &ROWS };
    match Ivh::of(&roi.values, settings) {
        Some(Ok(ivh)) => results.add(rows, &ivh, "", "", &settings.ivh.label()),
        Some(Err(reason)) => results.omit(Family::Ivh, &reason),
        None => {}
    }
}

/// What the rows are computed from.
#[derive(Debug, Clone)]
pub(super) struct Ivh {
    /// The levels that occur, ascending, and the share of voxels at or above each.
    levels: Vec<(f64, f64)>,
    /// First and last level of the range.
    first: f64,
    last: f64,
    /// From level to intensity: intensity = offset + step x level.
    offset: f64,
    step: f64,
    /// Whether there are levels 1 apart between those that occur.
    gridded: bool,
}

impl Ivh {
    /// Of these intensities, none of them missing; `None` when there are none.
    fn of(values: &[f32], settings: &Settings) -> Option<Result<Self, Ungraded>> {
        let range = range(values)?;
        let (low, high) = (settings.resegment.low, settings.resegment.high);
        let first = low.unwrap_or(range[0]);
        let last = high.unwrap_or(range[1]);
        Some(match settings.ivh {
            Discretise::None if values.iter().all(|value| is_integer(*value)) => {
                Self::integers(values, range, first, last)
            }
            Discretise::None => Ok(Self::distinct(values, first, last)),
            discretise => Self::binned(values, range, discretise, settings),
        })
    }

    /// Integers, such as Hounsfield units: every one of the range is a level.
    fn integers(values: &[f32], range: [f64; 2], first: f64, last: f64) -> Result<Self, Ungraded> {
        let binning = Binning::new(Discretise::BinWidth(1.0), super::BinAnchor::Ibsi, None, range)?;
        let counts = count(values, &binning, range);
        let levels = counts.into_iter().map(|(level, n)| (range[0] + f64::from(level) - 1.0, n));
        Ok(Self { gridded: true, ..Self::new(levels.collect(), first.ceil(), last.floor()) })
    }

    /// Any numbers: the levels are those that occur.
    fn distinct(values: &[f32], first: f64, last: f64) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f32::total_cmp);
        let same = sorted.chunk_by(|a, b| a.total_cmp(b).is_eq());
        Self::new(same.map(|same| (f64::from(same[0]), same.len() as u64)).collect(), first, last)
    }

    /// Bins: their centres for a fixed width, their numbers for a fixed number of bins.
    fn binned(values: &[f32], range: [f64; 2], rule: Discretise, settings: &Settings) -> Result<Self, Ungraded> {
        let (low, high) = (settings.resegment.low, settings.resegment.high);
        let binning = Binning::new(rule, settings.bin_anchor, low, range)?;
        let counts = count(values, &binning, range);
        let top = counts.last().map_or(1.0, |(level, _)| f64::from(*level));
        let (anchor, width) = binning.bins();
        let last = match rule {
            Discretise::Bins(bins) => f64::from(bins),
            _ => high.map_or(top, |high| ((high - anchor) / width).ceil().max(top)),
        };
        let new = Self::new(counts.into_iter().map(|(level, n)| (f64::from(level), n)).collect(), 1.0, last);
        let (offset, step) = match rule {
            Discretise::BinWidth(_) => (anchor - width / 2.0, width),
            _ => (0.0, 1.0),
        };
        Ok(Self { offset, step, gridded: true, ..new })
    }

    fn new(counts: Vec<(f64, u64)>, first: f64, last: f64) -> Self {
        let total: u64 = counts.iter().map(|(_, n)| n).sum();
        let mut above = total;
        let shares = counts.into_iter().map(|(level, n)| {
            let share = above as f64 / total as f64;
            above -= n;
            (level, share)
        });
        let levels: Vec<(f64, f64)> = shares.collect();
        // Bounds that leave out a level would be those of another range.
        let first = levels.first().map_or(first, |(level, _)| first.min(*level));
        let last = levels.last().map_or(last, |(level, _)| last.max(*level));
        Self { levels, first, last, offset: 0.0, step: 1.0, gridded: false }
    }

    /// The share of voxels whose intensity fraction is at least `fraction`.
    fn volume(&self, fraction: f64) -> f64 {
        if self.first >= self.last {
            return f64::NAN;
        }
        let at = self.levels.partition_point(|(level, _)| (level - self.first) / (self.last - self.first) < fraction);
        self.levels.get(at).map_or(0.0, |(_, share)| *share)
    }

    /// The least level that at most that share of the voxels reaches; above the greatest one no voxel is left.
    fn intensity(&self, share: f64) -> f64 {
        let at = self.levels.partition_point(|(_, reached)| *reached > share);
        let below = self.levels.get(at.wrapping_sub(1)).map(|(level, _)| *level);
        let next = self.levels.get(at).map(|(level, _)| *level);
        let level = match below {
            Some(below) if self.gridded => below + 1.0,
            _ => next.or(below).unwrap_or(f64::NAN),
        };
        self.offset + self.step * level
    }

    fn area(&self) -> f64 {
        let width = self.last - self.first;
        if width <= 0.0 {
            return 0.0;
        }
        // Up to the first level that occurs all voxels are there.
        let mut area = self.levels.first().map_or(0.0, |(level, _)| level - self.first);
        for pair in self.levels.windows(2) {
            let [(level, share), (next, next_share)] = [pair[0], pair[1]];
            let fall = if self.gridded { 1.0 } else { next - level };
            area += (share + next_share) / 2.0 * fall + next_share * (next - level - fall);
        }
        if let Some((level, share)) = self.levels.last()
            && self.gridded
            && *level < self.last
        {
            area += share / 2.0;
        }
        area / width
    }
}

const ONE_LEVEL: &str = "all intensities are equal";

const fn row(id: &'static str, tag: &'static str, name: &'static str, unit: Unit, eval: fn(&Ivh) -> f64) -> Row<Ivh> {
    Row::new(Family::Ivh, id, tag, name, unit, eval).undefined_when(ONE_LEVEL)
}

const fn rows(intensity: Unit) -> [Row<Ivh>; 7] {
    [
        row("BC2M", "ivh_v10", "Volume at intensity fraction (x=10%)", Unit::One, |h| h.volume(0.1)),
        row("BC2M", "ivh_v90", "Volume at intensity fraction (x=90%)", Unit::One, |h| h.volume(0.9)),
        row("GBPN", "ivh_i10", "Intensity at volume fraction (x=10%)", intensity, |h| h.intensity(0.1)),
        row("GBPN", "ivh_i90", "Intensity at volume fraction (x=90%)", intensity, |h| h.intensity(0.9)),
        row("DDTU", "ivh_diff_v10_v90", "Volume fraction difference between intensity fractions", Unit::One, |h| {
            h.volume(0.1) - h.volume(0.9)
        }),
        row("CNV2", "ivh_diff_i10_i90", "Intensity fraction difference between volume fractions", intensity, |h| {
            h.intensity(0.1) - h.intensity(0.9)
        }),
        row("9CMM", "ivh_auc", "Area under the IVH curve", Unit::One, Ivh::area),
    ]
}

/// The rows of the family, in the unit of the intensities.
pub(super) static ROWS: [Row<Ivh>; 7] = rows(Unit::Same);

/// The same rows for a fixed number of bins, whose intensities are grey levels.
static LEVEL_ROWS: [Row<Ivh>; 7] = rows(Unit::One);

/// Whether a finite number is an integer; all from 2^23 on are.
fn is_integer(value: f32) -> bool {
    const EVERY: f32 = 8_388_608.0;
    value.abs() >= EVERY || (value - value as i32 as f32).abs() <= 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Resegment;
    use approx::assert_relative_eq;

    fn ivh(values: &[f32], settings: &Settings) -> Ivh {
        Ivh::of(values, settings).unwrap().unwrap()
    }

    /// Area by the definition: every level, one trapezoid after the other.
    fn plain_area(values: &[f32], first: i32, last: i32) -> f64 {
        let n = values.len() as f64;
        let share = |level: i32| values.iter().filter(|v| f64::from(**v) >= f64::from(level)).count() as f64 / n;
        let areas = (first..last).map(|level| f64::midpoint(share(level), share(level + 1)) / f64::from(last - first));
        areas.sum()
    }

    #[test]
    fn levels_between_those_that_occur_count() {
        let values = [1.0, 1.0, 3.0, 4.0, 4.0, 4.0, 4.0, 4.0, 6.0, 6.0];
        let h = ivh(&values, &Settings::default());
        assert_relative_eq!(h.volume(0.1), 0.8);
        assert_relative_eq!(h.volume(0.9), 0.2);
        assert_relative_eq!(h.intensity(0.8), 2.0);
        assert_relative_eq!(h.intensity(0.2), 5.0);
        assert_relative_eq!(h.intensity(0.1), 7.0);
        assert_relative_eq!(h.area(), plain_area(&values, 1, 6), epsilon = 1e-12);
    }

    #[test]
    fn the_range_is_that_of_resegmentation() {
        let values = [1.0, 2.0, 3.0, 4.0];
        let settings = Settings { resegment: Resegment::range(-10.0, 10.0), ..Settings::default() };
        let h = ivh(&values, &settings);
        assert_relative_eq!(h.volume(0.6), 0.75);
        assert_relative_eq!(h.area(), plain_area(&values, -10, 10), epsilon = 1e-12);
    }

    #[test]
    fn bins_of_a_width_are_told_by_their_centres_and_bins_of_a_number_by_their_level() {
        let values = [0.05, 0.15, 0.31, 0.95];
        let wide = Settings {
            ivh: Discretise::BinWidth(0.1),
            resegment: Resegment { low: Some(0.0), ..Default::default() },
            ..Settings::default()
        };
        assert_relative_eq!(ivh(&values, &wide).intensity(0.3), 0.45, epsilon = 1e-12);
        let many = Settings { ivh: Discretise::Bins(10), ..Settings::default() };
        assert_relative_eq!(ivh(&values, &many).intensity(0.3), 4.0);
    }

    #[test]
    fn numbers_that_are_no_integers_are_their_own_levels() {
        let h = ivh(&[0.5, 1.25, 1.25, 2.0], &Settings::default());
        assert_relative_eq!(h.volume(0.5), 0.75);
        assert_relative_eq!(h.intensity(0.3), 2.0);
        assert_relative_eq!(h.area(), (0.875 * 0.75 + 0.5 * 0.75) / 1.5);
    }

    #[test]
    fn a_flat_region_has_no_area_and_no_volume_fractions() {
        let h = ivh(&[3.0; 5], &Settings::default());
        assert_relative_eq!(h.area(), 0.0);
        assert!(h.volume(0.1).is_nan());
        assert_relative_eq!(h.intensity(0.1), 4.0);
        assert!(Ivh::of(&[], &Settings::default()).is_none());
    }
}
