//! Every default of the configuration, and every bound on what may be configured, in one place.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::case::{AtDeadline, Prefer};
use crate::features::filters::WaveletFamily;
use crate::image::Interpolation;
use crate::register::{SameFrame, Similarity, TransformKind};

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Bytes that a configuration file may have.
pub(super) const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Protocols in one configuration.
pub(super) const PROTOCOLS_MAX: usize = 64;
/// Inputs of one protocol.
pub(super) const INPUTS_MAX: usize = 32;
/// Filters of one input.
pub(super) const FILTERS_MAX: usize = 64;
/// Longest time that a setting may name.
pub(super) const DURATION_MAX: Duration = seconds(36_500 * DAY);

pub(super) const AE_TITLE: &str = "RADIOMICSD";
pub(super) const DICOM_LISTEN: &str = "0.0.0.0:11112";
pub(super) const ACCEPT_UNKNOWN_PEERS: bool = false;
pub(super) const MAX_ASSOCIATIONS: u64 = 64;
pub(super) const MAX_ASSOCIATIONS_RANGE: RangeInclusive<u64> = 1..=4096;
pub(super) const MAX_PDU_BYTES: u64 = 262_144;
/// PS3.8 D.1 lets 0 stand for "no limit", which no one can keep in memory.
pub(super) const MAX_PDU_BYTES_RANGE: RangeInclusive<u64> = 4_096..=16_777_216;
pub(super) const IDLE_TIMEOUT: Duration = seconds(MINUTE);
pub(super) const IDLE_TIMEOUT_RANGE: RangeInclusive<Duration> = seconds(1)..=seconds(DAY);
pub(super) const PEER_MAX_ASSOCIATIONS: u64 = 8;
pub(super) const PEER_RETRIEVE: bool = false;
/// A modality may erase its originals on our word: only where somebody wants that.
pub(super) const COMMIT: bool = false;
/// What a list of users is for.
pub(super) const PEER_REQUIRE_USER: bool = true;

pub(super) const RESERVE_BYTES: u64 = 5_000_000_000;
pub(super) const RETENTION: Duration = seconds(30 * DAY);
pub(super) const PARKED_RETENTION: Duration = seconds(90 * DAY);

pub(super) const HTTP_LISTEN: &str = "127.0.0.1:8042";

pub(super) const SERIES_SETTLE: Duration = seconds(10);
pub(super) const CASE_SETTLE: Duration = seconds(60);
pub(super) const CASE_DEADLINE: Duration = seconds(2 * HOUR);
pub(super) const LINK_WINDOW: Duration = seconds(30 * DAY);

pub(super) const AT_DEADLINE: AtDeadline = AtDeadline::Process;
/// Whether a case waits for a role that says nothing of it. The reference is always waited for.
pub(super) const INPUT_REQUIRED: bool = false;
/// None: two series for one role are ambiguous unless the protocol says how to choose.
pub(super) const PREFER: &[Prefer] = &[];
pub(super) const TRANSFORM: TransformKind = TransformKind::Rigid;
pub(super) const SAME_FRAME: SameFrame = SameFrame::Verify;
pub(super) const MEASURE: Similarity = Similarity::Nmi;
/// A root mean square of 30 draws is good to an eighth of itself.
pub(super) const ERROR_DRAWS: u64 = 30;
pub(super) const ERROR_DRAWS_RANGE: RangeInclusive<u64> = 0..=1000;
/// As IBSI configurations C and D; it never overshoots, so no uptake becomes negative.
pub(super) const INTERPOLATION: Interpolation = Interpolation::Linear;
/// What an absent `roi.names` means where no automatic region is asked for: every region that was drawn.
pub(super) const ROI_NAMES: &[&str] = &[".*"];
/// Isotropic spacing of the common grid, mm.
pub(super) const GRID_SPACING_MM: f64 = 1.0;
pub(super) const GRID_SPACING_MM_RANGE: RangeInclusive<f64> = 0.1..=20.0;
pub(super) const RESOLUTION_MATCH: bool = true;
/// Full width at half maximum, mm; 0 is an image that nothing blurred.
pub(super) const FWHM_MM_RANGE: RangeInclusive<f64> = 0.0..=50.0;
pub(super) const CT_BIN_WIDTH: f64 = 25.0;
pub(super) const PT_BIN_WIDTH: f64 = 0.25;
pub(super) const MR_BINS: u32 = 32;
pub(super) const BIN_WIDTH_RANGE: RangeInclusive<f64> = 1e-6..=1e6;
pub(super) const BINS_RANGE: RangeInclusive<u64> = 2..=4096;
/// Half of either image in every band, one level of a wavelet that is nearly symmetric.
pub(super) const FUSED_WEIGHT: f64 = 0.5;
pub(super) const FUSED_WAVELET: WaveletFamily = WaveletFamily::Coif1;
pub(super) const FUSED_LEVELS: u8 = 1;
pub(super) const FUSED_BAND_PASS_RATIO: f64 = 1.0;
pub(super) const FUSED_MAX: usize = 16;
/// Percent of the largest uptake that an automatic region may ask for.
pub(super) const AUTOMATIC_PERCENT_RANGE: RangeInclusive<f64> = 1.0..=99.0;
/// SUV that an automatic region may ask for.
pub(super) const AUTOMATIC_SUV_RANGE: RangeInclusive<f64> = 0.01..=1000.0;

pub(super) const RETRY_FIRST: Duration = seconds(5);
pub(super) const RETRY_MAX: Duration = seconds(10 * MINUTE);
pub(super) const GIVE_UP_AFTER: Duration = seconds(7 * DAY);
pub(super) const RETRY_RANGE: RangeInclusive<Duration> = Duration::from_millis(10)..=seconds(DAY);
pub(super) const STORAGE_COMMITMENT: bool = false;
