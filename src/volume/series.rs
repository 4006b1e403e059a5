//! One series as one volume with its quantity.

use std::path::PathBuf;
use std::sync::Arc;

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::VOXELS_MAX;
use super::error::VolumeError;
use super::frame::{Frame, Source};
use super::pixels::{PixelError, PixelSource};
use super::samples::{self, Rescale, Samples};
use super::stack::{self, Layout, Stack, StackPlane};
use super::suv::{self, Suv, SuvHeader, SuvSettings};
use super::{quality, regular};
use crate::dicom::attributes;
use crate::dicom::part10::{FormatError, Keep, Part10};
use crate::dicom::uid::Uid;
use crate::finding::{Finding, FindingKind, Policies, Policy};
use crate::image::Volume;

pub use super::units::Units;

/// An image series as a volume.
#[derive(Debug, Clone)]
pub struct SeriesVolume {
    /// The values on their grid. NaN: not measured (padding, or outside a regularised stack).
    pub volume: Volume<f32>,
    /// What the values are.
    pub units: Units,
    /// Modality (0008,0060).
    pub modality: String,
    /// Study Instance UID.
    pub study: Uid,
    /// Series Instance UID.
    pub series: Uid,
    /// Frame of Reference UID, where present.
    pub frame_of_reference: Option<Uid>,
    /// SOP class and instance of each slice, in the order of the grid's z axis; of a slice that was interpolated, the
    /// nearest one.
    pub slices: Vec<(Uid, Uid)>,
    /// The number of each slice's frame in its instance, from 1.
    pub frames: Vec<u32>,
    /// The header of the first slice without its pixels.
    pub header: Arc<InMemDicomObject>,
    /// What was remarked.
    pub findings: Vec<Finding>,
    /// How the values came about.
    pub origin: VolumeOrigin,
}

/// How the values of a volume came about: what provenance wants to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VolumeOrigin {
    /// Slices that were there, before any regularisation.
    pub n_slices: usize,
    /// Transfer syntaxes, each once, sorted.
    pub transfer_syntaxes: Vec<Uid>,
    /// Least and greatest Rescale Slope; `None` where values are stored or tabulated.
    pub rescale_slope: Option<(f64, f64)>,
    /// Least and greatest Rescale Intercept.
    pub rescale_intercept: Option<(f64, f64)>,
    /// Bits Allocated and Bits Stored of the first slice.
    pub bits: Option<(u32, u32)>,
    /// How SUV came about, for a PET.
    pub suv: Option<Suv>,
    /// Voxels that hold Pixel Padding Value and are missing in the volume, with the value that they would have had. More
    /// than one value: a range, or another rescale by slice.
    pub padding: Vec<SlicePadding>,
}

/// The padding of one slice.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SlicePadding {
    /// The slice, before regularisation.
    pub slice: usize,
    /// How many voxels.
    pub n_voxels: usize,
    /// The quantity that the padding value itself would have been.
    pub value: f32,
}

impl SeriesVolume {
    /// Reads the files of one series, in whichever order, as one volume.
    ///
    /// Costs one pass over the headers and one over the pixels; the pixels are read and converted slice by slice on all
    /// threads of the current rayon pool, straight into the volume.
    ///
    /// # Errors
    /// When a file cannot be read, the files are not one series, a slice lacks what gives its numbers a meaning or its plane
    /// a place, or a finding's policy is to reject: then the error carries the finding.
    pub fn read(files: &[PathBuf], role: &str, policies: &Policies) -> Result<Self, VolumeError> {
        let opened: Vec<Result<Source, VolumeError>> = files
            .par_iter()
            .map(|path| {
                let part10 = Part10::open(path, Keep::All)?;
                Source::new(part10.object, PixelSource::new(part10.pixels, part10.transfer_syntax))
            })
            .collect();
        Self::assemble(opened.into_iter().collect::<Result<_, _>>()?, role, policies)
    }

    /// Reads a series from Part-10 files in memory.
    ///
    /// # Errors
    /// As [`SeriesVolume::read`].
    pub fn from_bytes(files: Vec<Vec<u8>>, role: &str, policies: &Policies) -> Result<Self, VolumeError> {
        let sources = files
            .into_iter()
            .map(|bytes| {
                let part10 = Part10::from_bytes(bytes, Keep::All)?;
                Source::new(part10.object, PixelSource::new(part10.pixels, part10.transfer_syntax))
            })
            .collect::<Result<_, VolumeError>>()?;
        Self::assemble(sources, role, policies)
    }

    fn assemble(mut sources: Vec<Source>, role: &str, policies: &Policies) -> Result<Self, VolumeError> {
        refuse_several_series(&sources)?;
        let mut findings = Vec::new();
        let mut frames = Vec::new();
        for (index, source) in sources.iter().enumerate() {
            frames.extend(source.frames(index, role, policies)?);
        }
        quality::remark_on_encoding(&sources, role, policies, &mut findings)?;
        let planes: Vec<StackPlane> = frames
            .iter()
            .map(|frame| StackPlane {
                plane: frame.plane,
                size: frame.shape.size,
                thickness_mm: attributes::number(&sources[frame.source].object, tags::SLICE_THICKNESS).ok().flatten(),
                name: sources[frame.source].sop_instance.as_str(),
            })
            .collect();
        let stack = stack::arrange(&planes, role, policies, &mut findings)?;
        let ordered: Vec<&Frame> = stack.order.iter().filter_map(|index| frames.get(*index)).collect();
        let first = ordered.first().ok_or(VolumeError::Empty)?.source;
        let modality = sources[first].modality.clone();
        let suv = suv_of(&sources[first], &ordered, role, policies, &mut findings)?;
        let factors = suv.as_ref().map(|suv| suv.factors.as_slice());
        let (volume, padding) = fill(&sources, &ordered, &stack, factors, role, policies)?;
        let units = units_of(&sources[first], &modality, suv.is_some(), &volume, role, policies, &mut findings)?;
        remark_on_padding(&padding, role, policies, &mut findings);

        let nearest = regular::nearest(&stack.layout, ordered.len());
        let on_grid: Vec<&Frame> = nearest.iter().filter_map(|index| ordered.get(*index).copied()).collect();
        let sop = |frame: &&Frame| {
            let source = &sources[frame.source];
            (source.sop_class.clone(), source.sop_instance.clone())
        };
        let slices = on_grid.iter().map(sop).collect();
        let frame_numbers = on_grid.iter().map(|frame| frame.shape.index + 1).collect();
        let origin = origin_of(&sources, &ordered, suv, padding);
        let source = sources.swap_remove(first);
        Ok(Self {
            volume,
            units,
            modality,
            study: source.study,
            series: source.series,
            frame_of_reference: source.frame_of_reference,
            slices,
            frames: frame_numbers,
            header: Arc::new(source.object),
            findings,
            origin,
        })
    }
}

fn refuse_several_series(sources: &[Source]) -> Result<(), VolumeError> {
    let mut series: Vec<_> = sources.iter().map(|source| (&source.study, &source.series)).collect();
    series.sort_unstable();
    series.dedup();
    match series.len() {
        0 => Err(VolumeError::Empty),
        1 => Ok(()),
        n => Err(VolumeError::SeveralSeries(n)),
    }
}

/// How a PET becomes SUV; `None` for other modalities, and for a PET without SUV where the site accepts that.
fn suv_of(
    first: &Source,
    ordered: &[&Frame],
    role: &str,
    policies: &Policies,
    findings: &mut Vec<Finding>,
) -> Result<Option<Suv>, VolumeError> {
    if first.modality != "PT" {
        return Ok(None);
    }
    let refused = |detail: String| policies.finding(FindingKind::SuvNotComputable, role, detail);
    let with_intercept = |frame: &&&Frame| !matches!(&frame.rescale, Some(Rescale::Linear { intercept: 0.0, .. }));
    if ordered.iter().any(|frame| with_intercept(&frame)) {
        let detail = "RescaleIntercept (0028,1052) of a PET is not 0".to_owned();
        return Err(VolumeError::Refused(refused(detail)));
    }
    let mut header = SuvHeader::of(&first.object)?;
    header.slices = ordered.iter().map(|frame| frame.timing).collect();
    match suv::suv_bw(&header, &SuvSettings::default()) {
        Ok(suv) => {
            findings.extend(suv.remarks.iter().map(|(kind, detail)| policies.finding(*kind, role, detail)));
            match findings.iter().find(|finding| finding.policy == Policy::Reject) {
                Some(finding) => Err(VolumeError::Refused(finding.clone())),
                None => Ok(Some(suv)),
            }
        }
        Err(error) => {
            let finding = refused(error.to_string());
            if finding.policy == Policy::Reject || header.units != "BQML" {
                return Err(VolumeError::Refused(finding));
            }
            findings.push(finding);
            Ok(None)
        }
    }
}

/// Reads, rescales and places every slice.
fn fill(
    sources: &[Source],
    ordered: &[&Frame],
    stack: &Stack,
    factors: Option<&[f64]>,
    role: &str,
    policies: &Policies,
) -> Result<(Volume<f32>, Vec<SlicePadding>), VolumeError> {
    let [width, height] = ordered.first().ok_or(VolumeError::Empty)?.shape.size;
    let [nx, ny, nz] = stack.geometry.size;
    let n_voxels = (nx as u64).saturating_mul(ny as u64).saturating_mul(nz.max(ordered.len()) as u64);
    if n_voxels > VOXELS_MAX {
        return Err(VolumeError::TooLarge(n_voxels));
    }
    let slice_voxels = nx * ny;
    let mut values = zeroed(slice_voxels * ordered.len())?;
    let outcomes: Vec<Result<usize, PixelError>> = values
        .par_chunks_exact_mut(slice_voxels)
        .zip(ordered)
        .enumerate()
        .map_init(Scratch::default, |scratch, (k, (out, frame))| {
            let factor = factors.and_then(|factors| factors.get(k)).copied().unwrap_or(1.0);
            let source = &sources[frame.source].pixels;
            match &stack.layout {
                Layout::Sheared(offsets) => {
                    scratch.slice.resize(width * height, 0.0);
                    let n_padding = decode(source, frame, factor, &mut scratch.bytes, &mut scratch.slice)?;
                    let slice = ndarray::ArrayView2::from_shape((height, width), &scratch.slice);
                    if let (Ok(slice), Some(offset)) = (slice, offsets.get(k)) {
                        regular::shear(slice, *offset, nx, out);
                    }
                    Ok(n_padding)
                }
                Layout::Regular | Layout::Interpolated(_) => decode(source, frame, factor, &mut scratch.bytes, out),
            }
        })
        .collect();
    let mut padding = Vec::new();
    for (k, outcome) in outcomes.into_iter().enumerate() {
        let n_voxels = outcome.map_err(|error| refused_pixels(error, role, policies))?;
        if n_voxels > 0 {
            let factor = factors.and_then(|factors| factors.get(k)).copied().unwrap_or(1.0);
            padding.push(SlicePadding {
                slice: k,
                n_voxels,
                value: samples::padding_quantity(ordered[k].padding, ordered[k].rescale.as_ref(), factor),
            });
        }
    }
    let volume = place(values, stack, ordered.len())?;
    Ok((volume, padding))
}

/// Memory that one thread reuses.
#[derive(Default)]
struct Scratch {
    bytes: Vec<u8>,
    slice: Vec<f32>,
}

/// One frame as quantities; how many pixels are padding.
fn decode(
    source: &PixelSource,
    frame: &Frame,
    factor: f64,
    bytes: &mut Vec<u8>,
    out: &mut [f32],
) -> Result<usize, PixelError> {
    let big_endian = source.read(&frame.shape, bytes)?;
    let identity = Rescale::Linear { slope: 1.0, intercept: 0.0 };
    let rescale = frame.rescale.as_ref().unwrap_or(&identity);
    Ok(samples::to_quantity(bytes, big_endian, frame.shape.samples, frame.padding, rescale, factor, out))
}

/// Zeros that the system gives page by page as they are written, or an error where it has none left.
fn zeroed(n: usize) -> Result<Vec<f32>, VolumeError> {
    let mut reserved: Vec<f32> = Vec::new();
    reserved.try_reserve_exact(n).map_err(|_| VolumeError::Memory(n))?;
    drop(reserved);
    Ok(vec![0.0; n])
}

/// From the slices in order to the volume on its grid.
fn place(values: Vec<f32>, stack: &Stack, n_slices: usize) -> Result<Volume<f32>, VolumeError> {
    let n_values = values.len();
    let whole = || VolumeError::Memory(n_values);
    match &stack.layout {
        Layout::Regular | Layout::Sheared(_) => Volume::from_values(stack.geometry, values).ok_or_else(whole),
        Layout::Interpolated(places) => {
            let [nx, ny, _] = stack.geometry.size;
            let geometry = crate::image::Geometry { size: [nx, ny, n_slices], ..stack.geometry };
            let slices = Volume::from_values(geometry, values).ok_or_else(whole)?;
            Ok(regular::interpolate(&slices, places, stack.geometry))
        }
    }
}

/// No policy can make up pixels that are not there.
fn refused_pixels(error: PixelError, role: &str, policies: &Policies) -> VolumeError {
    match error {
        PixelError::Io(kind) => VolumeError::Format(FormatError::Io(kind.into())),
        error => VolumeError::Refused(policies.finding(error.kind(), role, error.to_string())),
    }
}

fn units_of(
    first: &Source,
    modality: &str,
    has_suv: bool,
    volume: &Volume<f32>,
    role: &str,
    policies: &Policies,
    findings: &mut Vec<Finding>,
) -> Result<Units, VolumeError> {
    match modality {
        "CT" => quality::ct_units(&first.object, volume, role, policies, findings),
        "PT" if has_suv => Ok(Units::SuvBw),
        "PT" => Ok(Units::BqPerMl),
        _ => Ok(Units::Arbitrary),
    }
}

fn remark_on_padding(padding: &[SlicePadding], role: &str, policies: &Policies, findings: &mut Vec<Finding>) {
    let n_voxels: usize = padding.iter().map(|slice| slice.n_voxels).sum();
    if n_voxels > 0 {
        let detail = format!("{n_voxels} voxels of {} slices hold PixelPaddingValue (0028,0120)", padding.len());
        findings.push(policies.finding(FindingKind::PixelPadding, role, detail));
    }
}

fn origin_of(sources: &[Source], ordered: &[&Frame], suv: Option<Suv>, padding: Vec<SlicePadding>) -> VolumeOrigin {
    let mut transfer_syntaxes: Vec<Uid> = sources.iter().map(|source| source.pixels.transfer_syntax.clone()).collect();
    transfer_syntaxes.sort();
    transfer_syntaxes.dedup();
    let lines: Vec<(f64, f64)> = ordered
        .iter()
        .filter_map(|frame| match &frame.rescale {
            Some(Rescale::Linear { slope, intercept }) => Some((*slope, *intercept)),
            _ => None,
        })
        .collect();
    let range = |values: &mut dyn Iterator<Item = f64>| {
        values.fold(None, |range: Option<(f64, f64)>, v| Some(range.map_or((v, v), |(a, b)| (a.min(v), b.max(v)))))
    };
    VolumeOrigin {
        n_slices: ordered.len(),
        transfer_syntaxes,
        rescale_slope: range(&mut lines.iter().map(|line| line.0)),
        rescale_intercept: range(&mut lines.iter().map(|line| line.1)),
        bits: ordered.first().and_then(|frame| match frame.shape.samples {
            Samples::Integer(integer) => Some((integer.bits_allocated, integer.bits_stored)),
            _ => None,
        }),
        suv,
        padding,
    }
}
