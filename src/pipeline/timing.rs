//! Seconds and memory of each stage.

use std::time::Instant;

use crate::report::StageTiming;

/// The stages of one case, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Series to volumes, structure sets and segmentations to regions.
    Volume,
    /// The maps between the roles, and which regions are one lesion.
    Register,
    /// Images onto the common grid at one resolution.
    Align,
    /// Intensities onto each modality's scale.
    Normalise,
    /// Features.
    Extract,
    /// Between scanners.
    Harmonise,
    /// Between blocks.
    Fuse,
}

impl Stage {
    /// Every stage, in its order.
    pub const ALL: [Self; 7] =
        [Self::Volume, Self::Register, Self::Align, Self::Normalise, Self::Extract, Self::Harmonise, Self::Fuse];

    /// The published name, as in metrics and `report.json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::Register => "register",
            Self::Align => "align",
            Self::Normalise => "normalise",
            Self::Extract => "extract",
            Self::Harmonise => "harmonise",
            Self::Fuse => "fuse",
        }
    }
}

/// Times the stages. A stage that is entered once per lesion adds up.
pub(super) struct Watch<'a> {
    progress: &'a (dyn Fn(Stage) + Sync),
    current: Option<Stage>,
    stages: Vec<(Stage, f64, u64)>,
}

impl<'a> Watch<'a> {
    /// `progress` is told of each change of the stage.
    pub(super) fn new(progress: &'a (dyn Fn(Stage) + Sync)) -> Self {
        Self { progress, current: None, stages: Vec::new() }
    }

    /// Does a part of a stage.
    pub(super) fn time<T>(&mut self, stage: Stage, work: impl FnOnce() -> T) -> T {
        if self.current != Some(stage) {
            self.current = Some(stage);
            (self.progress)(stage);
        }
        let start = Instant::now();
        let result = work();
        let seconds = start.elapsed().as_secs_f64();
        let peak = peak_memory_bytes();
        match self.stages.iter_mut().find(|(known, ..)| *known == stage) {
            Some((_, sum, memory)) => (*sum, *memory) = (*sum + seconds, peak),
            None => self.stages.push((stage, seconds, peak)),
        }
        result
    }

    /// The timings, in the order of the stages.
    pub(super) fn into_timings(mut self) -> Vec<StageTiming> {
        self.stages.sort_by_key(|(stage, ..)| *stage);
        let timing = |(stage, seconds, peak_memory_bytes): (Stage, f64, u64)| StageTiming {
            stage: stage.name().to_owned(),
            seconds,
            peak_memory_bytes,
        };
        self.stages.into_iter().map(timing).collect()
    }
}

/// The largest resident memory that the process ever had: `VmHWM` (proc_pid_status(5)); 0 where the system does not tell.
fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_stage_that_is_entered_again_is_one_line_in_the_order_of_the_path() {
        let begun = Mutex::new(Vec::new());
        let progress = |stage: Stage| begun.lock().unwrap().push(stage);
        let mut watch = Watch::new(&progress);
        for stage in [Stage::Volume, Stage::Extract, Stage::Align, Stage::Extract, Stage::Extract] {
            watch.time(stage, || ());
        }
        let names: Vec<String> = watch.into_timings().into_iter().map(|timing| timing.stage).collect();
        assert_eq!(names, ["volume", "align", "extract"]);
        assert_eq!(*begun.lock().unwrap(), [Stage::Volume, Stage::Extract, Stage::Align, Stage::Extract]);
    }

    #[test]
    fn the_peak_memory_is_that_of_this_process() {
        if std::path::Path::new("/proc/self/status").exists() {
            assert!(peak_memory_bytes() > 1 << 20);
        }
    }
}
