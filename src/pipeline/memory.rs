//! How much memory a case will need, from the headers of its files.
//!
//! An estimate from above for what is usual: every region is counted as a lesion of its own, and registration as if it kept
//! its images twice. What headers do not tell (the size of a segment) is assumed.

use rayon::prelude::*;

use super::error::PipelineError;
use super::job::Job;
use crate::case::{Annotation, AnnotationKind};
use crate::config::{Automatic, Input, Protocol};
use crate::dicom::facts::{self, InstanceKind};
use crate::dicom::uid::Uid;
use crate::error::{Duty, Retry};
use crate::features::filters::Filter;
use crate::normalise::Method;
use crate::volume::StructureSet;

/// Bytes of one voxel of a series: its value, and twice that while it is read, registered or put on its scale.
const BYTES_PER_VOXEL: u64 = 4 + 8;
/// Bytes of one voxel of the image on its scale, where that is another image.
const BYTES_PER_SCALED_VOXEL: u64 = 4;
/// Bytes of one voxel of a mask.
const BYTES_PER_MASK_VOXEL: u64 = 1;
/// Bytes of one voxel of the block around a lesion: interpolation works in double precision, three arrays at a time, beside
/// the image, its grey levels and the masks.
const BYTES_PER_BLOCK_VOXEL: u64 = 40;
/// Around a lesion, on each side.
const MARGIN_MM: f64 = 10.0;
/// The side of the block around a region whose size no header tells.
const ASSUMED_SIDE_MM: f64 = 150.0;
/// Program, headers and documents.
const BASE_BYTES: u64 = 64 << 20;

/// Bytes that a case will need at its peak. Reads one header per series and the contours, never a pixel.
///
/// # Errors
/// When the case names a protocol or a file that is not there, or a file cannot be read now. Objects that are no DICOM files
/// count nothing: they will be findings.
#[allow(clippy::cast_precision_loss)] // an estimate
pub fn estimate_memory(job: &Job<'_>) -> Result<u64, PipelineError> {
    let protocol = job.protocol()?;
    let mut bytes = BASE_BYTES;
    let mut voxels = 0u64;
    let mut slices = 1u64;
    let mut whole_mm3 = 0.0f64;
    for came in &job.spec.inputs {
        let Some(input) = protocol.input(&came.role) else { continue };
        let Some(first) = came.instances.first() else { continue };
        let Some(Frames { size, voxel_mm3 }) = size_of(job, first, &came.role)? else { continue };
        let n_instances = came.instances.len() as u64;
        let n = size.iter().product::<u64>().saturating_mul(n_instances);
        let scaled = matches!(input.normalise, Method::ZScore | Method::Suv { log: true, .. });
        let per_voxel = BYTES_PER_VOXEL + if scaled { BYTES_PER_SCALED_VOXEL } else { 0 };
        bytes = bytes.saturating_add(n.saturating_mul(per_voxel));
        voxels = voxels.saturating_add(n);
        whole_mm3 = whole_mm3.max(n as f64 * voxel_mm3);
        slices = slices.max(size[2].saturating_mul(n_instances));
    }
    let annotations: Vec<Result<Drawn, PipelineError>> =
        job.spec.annotations.par_iter().map(|annotation| drawn(job, protocol, annotation, slices)).collect();
    let mut all = Drawn::default();
    for drawn in annotations {
        let drawn = drawn?;
        all.n_regions += drawn.n_regions;
        all.own_bytes = all.own_bytes.saturating_add(drawn.own_bytes);
        all.block_mm3 = all.block_mm3.max(drawn.block_mm3);
    }
    if all.n_regions == 0 && protocol.roi.automatic != Automatic::None {
        all.n_regions = 1;
        all.block_mm3 = ASSUMED_SIDE_MM.powi(3);
    }
    let masks = voxels.saturating_mul(BYTES_PER_MASK_VOXEL).saturating_mul(all.n_regions);
    Ok(bytes.saturating_add(masks).saturating_add(all.own_bytes).saturating_add(blocks(
        protocol,
        all.block_mm3,
        whole_mm3,
    )))
}

/// The blocks of one lesion on the grids of all roles, and on the common one: as large as the largest image where a filter
/// needs all of it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
fn blocks(protocol: &Protocol, block_mm3: f64, whole_mm3: f64) -> u64 {
    let n_voxels = |input: &Input, spacing_mm: f64| {
        let seen_mm3 = seen_mm3(&input.filter, spacing_mm, block_mm3).min(whole_mm3.max(block_mm3));
        (seen_mm3 / spacing_mm.powi(3)).ceil() as u64
    };
    let all = |spacing_mm: &dyn Fn(&Input) -> f64| {
        protocol.inputs.iter().map(|input| n_voxels(input, spacing_mm(input))).fold(0, u64::saturating_add)
    };
    let (native, aligned) = (all(&|input| input.grid.spacing_mm), all(&|_| protocol.grid.spacing_mm));
    // The draws behind the misregistration errors are measured beside the block itself, one on each thread.
    let at_once = if protocol.registration.error_draws > 0 { 1 + rayon::current_num_threads() as u64 } else { 1 };
    native.max(aligned).saturating_mul(BYTES_PER_BLOCK_VOXEL).saturating_mul(at_once)
}

/// The volume that filters look at for a block of a lesion.
#[allow(clippy::cast_precision_loss)] // steps of a bounded filter
fn seen_mm3(filters: &[Filter], spacing_mm: f64, block_mm3: f64) -> f64 {
    let reach_mm = |filter: &Filter| {
        let steps = filter.reach([spacing_mm; 3]).map(|reach| reach.into_iter().max().unwrap_or(0));
        steps.map_or(f64::INFINITY, |steps| steps as f64 * spacing_mm)
    };
    (block_mm3.cbrt() + 2.0 * filters.iter().map(reach_mm).fold(0.0, f64::max)).powi(3)
}

/// What one instance of a series adds to its volume.
struct Frames {
    /// Columns, rows and frames.
    size: [u64; 3],
    /// The size of a voxel; slices are at least a millimetre apart where the header does not tell.
    voxel_mm3: f64,
}

/// The frames of an instance; `None` where it is no image or no DICOM file.
fn size_of(job: &Job<'_>, instance: &Uid, owner: &str) -> Result<Option<Frames>, PipelineError> {
    let path = job.path(instance, owner)?;
    let wanted = ["NumberOfFrames", "PixelSpacing", "SliceThickness"].map(str::to_owned);
    let facts = match facts::read(&path, &wanted) {
        Ok(facts) => facts,
        Err(facts::FactsError::Format(error)) if error.retry() != Retry::Never => {
            return Err(PipelineError::Series { role: owner.to_owned(), error: error.into() });
        }
        Err(_) => return Ok(None),
    };
    let number = |keyword: &str| facts.attributes.get(keyword).and_then(|text| text.parse::<u64>().ok());
    let n_frames = number("NumberOfFrames").unwrap_or(1);
    let lengths = |keyword: &str| -> f64 {
        let text = facts.attributes.get(keyword).map_or("", String::as_str);
        text.split('\\').filter_map(|part| part.trim().parse::<f64>().ok()).product()
    };
    let voxel_mm3 = lengths("PixelSpacing") * lengths("SliceThickness").max(1.0);
    let size = number("Columns").zip(number("Rows")).map(|(columns, rows)| [columns, rows, n_frames]);
    Ok(size.map(|size| Frames { size, voxel_mm3 }))
}

/// What an object's regions will take.
#[derive(Debug, Default)]
struct Drawn {
    n_regions: u64,
    /// What is read of the object itself.
    own_bytes: u64,
    /// The largest box around a region, with its margin.
    block_mm3: f64,
}

fn drawn(job: &Job<'_>, protocol: &Protocol, annotation: &Annotation, slices: u64) -> Result<Drawn, PipelineError> {
    let takes = |name: &str| protocol.roi.names.iter().any(|pattern| pattern.is_match(name));
    let path = job.path(&annotation.instance, "annotation")?;
    match annotation.kind {
        AnnotationKind::StructureSet => {
            // One that cannot be read is a finding when the case is run.
            let Ok(set) = StructureSet::read(&path) else { return Ok(Drawn::default()) };
            let mut drawn = Drawn::default();
            for roi in set.rois.iter().filter(|roi| takes(&roi.name)) {
                let points = || roi.contours.iter().flat_map(|contour| &contour.points_mm);
                let side = |axis: usize| {
                    let (low, high) = points().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), point| {
                        (low.min(point[axis]), high.max(point[axis]))
                    });
                    (high - low).max(0.0) + 2.0 * MARGIN_MM
                };
                drawn.n_regions += 1;
                drawn.own_bytes += 24 * points().count() as u64;
                drawn.block_mm3 = drawn.block_mm3.max(side(0) * side(1) * side(2));
            }
            Ok(drawn)
        }
        AnnotationKind::Segmentation => {
            let Some(Frames { size: [columns, rows, n_frames], .. }) =
                size_of(job, &annotation.instance, "annotation")?
            else {
                return Ok(Drawn::default());
            };
            let Ok(facts) = facts::read(&path, &[]) else { return Ok(Drawn::default()) };
            let n_segments = match &facts.kind {
                InstanceKind::Segmentation(facts) => facts.roi_names.len() as u64,
                _ => 0,
            };
            // Every segment is read onto the whole grid, whichever is wanted.
            let grid = columns.saturating_mul(rows).saturating_mul(n_frames.min(slices));
            let own_bytes = grid.saturating_mul(n_segments).saturating_mul(BYTES_PER_MASK_VOXEL);
            Ok(Drawn { n_regions: n_segments, own_bytes, block_mm3: ASSUMED_SIDE_MM.powi(3) })
        }
    }
}
