//! From opened files to volumes: which frames, in which order, on which grid, as which quantity.

use std::sync::Arc;

use super::error::VolumeError;
use super::frame::{Frame, Reading, Source};
use super::samples::{Rescale, Samples};
use super::series::{SeriesVolume, SlicePadding, VolumeOrigin, VolumeSettings};
use super::split::{self, Group, Member};
use super::stack::{self, StackPlane};
use super::suv::{self, Suv, SuvHeader};
use super::units::Units;
use super::{fill, quality, regular};
use crate::dicom::uid::Uid;
use crate::finding::{Finding, FindingKind, Policies, Policy};
use crate::image::Volume;

/// The one volume of a series.
pub(super) fn one(
    sources: Vec<Source>,
    role: &str,
    policies: &Policies,
    settings: &VolumeSettings,
) -> Result<SeriesVolume, VolumeError> {
    let reading = Reading { role, policies, mr_scaling: settings.mr_scaling };
    let (frames, mut findings) = frames(&sources, &reading)?;
    let members = members(&sources, &frames);
    let mut groups = split::groups(&members);
    if groups.len() > 1 {
        let detail = split::describe(&groups);
        for kind in [split::cause(&members), FindingKind::SeriesSplit] {
            quality::note(policies.finding(kind, role, detail.clone()), &mut findings)?;
        }
    }
    let mut group = if groups.is_empty() { return Err(VolumeError::Empty) } else { groups.swap_remove(0) };
    if policies.of(FindingKind::DuplicatePosition) != Policy::Reject {
        drop_copies(&sources, &members, &mut group, &reading, &mut findings);
    }
    volume(&sources, &frames, &group, &reading, settings, findings)
}

/// Every volume of a series, the one with most slices first.
pub(super) fn all(
    sources: Vec<Source>,
    role: &str,
    policies: &Policies,
    settings: &VolumeSettings,
) -> Result<Vec<Result<SeriesVolume, VolumeError>>, VolumeError> {
    let reading = Reading { role, policies, mr_scaling: settings.mr_scaling };
    let (frames, findings) = frames(&sources, &reading)?;
    let members = members(&sources, &frames);
    let groups = split::groups(&members);
    let detail = split::describe(&groups);
    let is_split = groups.len() > 1;
    let of_group = |mut group: Group| {
        let mut findings = findings.clone();
        if is_split {
            let finding = Finding::new(FindingKind::SeriesSplit, role, detail.clone());
            findings.push(Finding { policy: Policy::Regularise, ..finding });
        }
        drop_copies(&sources, &members, &mut group, &reading, &mut findings);
        volume(&sources, &frames, &group, &reading, settings, findings)
    };
    Ok(groups.into_iter().map(of_group).collect())
}

/// The frames of all files, and what is to be said of the files.
fn frames(sources: &[Source], reading: &Reading<'_>) -> Result<(Vec<Frame>, Vec<Finding>), VolumeError> {
    refuse_several_series(sources)?;
    let mut frames = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        frames.extend(source.frames(index, reading)?);
    }
    let mut findings = Vec::new();
    quality::remark_on_encoding(sources, reading.role, reading.policies, &mut findings)?;
    Ok((frames, findings))
}

fn members<'a>(sources: &'a [Source], frames: &'a [Frame]) -> Vec<Member<'a>> {
    let member = |frame: &'a Frame| {
        let source = &sources[frame.source];
        Member { frame, frame_of_reference: source.frame_of_reference.as_ref(), name: source.sop_instance.as_str() }
    };
    frames.iter().map(member).collect()
}

/// Slices that lie where another one lies and hold the same numbers are copies: one of them stays.
fn drop_copies(
    sources: &[Source],
    members: &[Member<'_>],
    group: &mut Group,
    reading: &Reading<'_>,
    findings: &mut Vec<Finding>,
) {
    let mut kept = Vec::new();
    for place in split::at_one_place(members, &group.frames) {
        let mut distinct: Vec<usize> = Vec::new();
        for index in place {
            let frame = members[index].frame;
            if !distinct.iter().any(|other| fill::are_copies(sources, members[*other].frame, frame)) {
                distinct.push(index);
            }
        }
        kept.extend(distinct);
    }
    let n_copies = group.frames.len() - kept.len();
    if n_copies > 0 {
        let detail = format!("{n_copies} of {} slices are copies of others", group.frames.len());
        findings.push(reading.policies.finding(FindingKind::DuplicatePosition, reading.role, detail));
        group.frames = kept;
    }
}

/// One group of frames as a volume.
fn volume(
    sources: &[Source],
    frames: &[Frame],
    group: &Group,
    reading: &Reading<'_>,
    settings: &VolumeSettings,
    mut findings: Vec<Finding>,
) -> Result<SeriesVolume, VolumeError> {
    let Reading { role, policies, .. } = *reading;
    let planes: Vec<StackPlane> = group
        .frames
        .iter()
        .map(|index| {
            let frame = &frames[*index];
            StackPlane {
                plane: frame.plane,
                size: frame.shape.size,
                thickness_mm: frame.thickness_mm,
                name: sources[frame.source].sop_instance.as_str(),
                frame: frame.shape.index,
            }
        })
        .collect();
    let stack = stack::arrange(&planes, role, policies, &mut findings)?;
    let in_order = stack.order.iter().filter_map(|index| group.frames.get(*index));
    let ordered: Vec<&Frame> = in_order.filter_map(|index| frames.get(*index)).collect();
    let first = *ordered.first().ok_or(VolumeError::Empty)?;
    let source = &sources[first.source];
    let suv = suv_of(source, &ordered, reading, settings, &mut findings)?;
    let factors = suv.as_ref().map(|suv| suv.factors.as_slice());
    let (volume, padding) = fill::fill(sources, &ordered, &stack, factors, reading)?;
    let units = units_of(source, first, suv.as_ref(), &volume, reading, &mut findings)?;
    remark_on_padding(&padding, role, policies, &mut findings);

    let nearest = regular::nearest(&stack.layout, ordered.len());
    let on_grid: Vec<&Frame> = nearest.iter().filter_map(|index| ordered.get(*index).copied()).collect();
    let sop = |frame: &&Frame| {
        let source = &sources[frame.source];
        (source.sop_class.clone(), source.sop_instance.clone())
    };
    let mut origin = origin_of(sources, &ordered, suv, padding);
    origin.mr_scaling = (source.modality == "MR").then_some(settings.mr_scaling);
    origin.split_by = group.by.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Ok(SeriesVolume {
        volume,
        units,
        modality: source.modality.clone(),
        study: source.study.clone(),
        series: source.series.clone(),
        frame_of_reference: source.frame_of_reference.clone(),
        slices: on_grid.iter().map(sop).collect(),
        frames: on_grid.iter().map(|frame| frame.shape.index + 1).collect(),
        header: Arc::new(source.object.clone()),
        findings,
        origin,
    })
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
    reading: &Reading<'_>,
    settings: &VolumeSettings,
    findings: &mut Vec<Finding>,
) -> Result<Option<Suv>, VolumeError> {
    if first.modality != "PT" {
        return Ok(None);
    }
    let with_intercept = |frame: &&Frame| !matches!(&frame.rescale, Some(Rescale::Linear { intercept: 0.0, .. }));
    if ordered.iter().any(with_intercept) {
        let detail = "RescaleIntercept (0028,1052) of a PET is not 0";
        return Err(reading.refused(FindingKind::SuvNotComputable, detail));
    }
    let mut header = match ordered.first() {
        Some(frame) => SuvHeader::of_layers(&first.layers(frame))?,
        None => return Err(VolumeError::Empty),
    };
    header.slices = ordered.iter().map(|frame| frame.timing).collect();
    let found = suv::suv_bw(&header, &settings.suv).and_then(|suv| Ok(suv.of_kind(settings.suv_kind)?));
    match found {
        Ok(suv) => {
            for (kind, detail) in &suv.remarks {
                quality::note(reading.policies.finding(*kind, reading.role, detail.clone()), findings)?;
            }
            Ok(Some(suv))
        }
        Err(error) => {
            let finding = reading.policies.finding(FindingKind::SuvNotComputable, reading.role, error.to_string());
            if header.units != "BQML" {
                return Err(VolumeError::Refused(finding));
            }
            quality::note(finding, findings)?;
            Ok(None)
        }
    }
}

fn units_of(
    source: &Source,
    first: &Frame,
    suv: Option<&Suv>,
    volume: &Volume<f32>,
    reading: &Reading<'_>,
    findings: &mut Vec<Finding>,
) -> Result<Units, VolumeError> {
    match source.modality.as_str() {
        "CT" => quality::ct_units(&source.layers(first), volume, reading, findings),
        "PT" => Ok(suv.map_or(Units::BqPerMl, |suv| suv.kind.into())),
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
        mr_scaling: None,
        split_by: Vec::new(),
        padding,
    }
}
