//! Several volumes in one series: which slices belong together.
//!
//! Slices of different matrix size, pixel spacing, orientation or Frame of Reference never make one volume. Other attributes
//! tell slices apart only where positions occur more than once: image type, stack, echo, b-value and its direction, temporal
//! position, acquisition, trigger time, kernel, time of the frame. They are tried in this order, and one counts only if it
//! really separates what lies at one place: a value that every slice has for itself (an acquisition time) makes no volumes.

use std::collections::{BTreeMap, BTreeSet};

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::frame::Frame;
use super::stack::{SAME_POSITION_MM, same_spacing};
use crate::dicom::attributes;
use crate::dicom::layers::Layers;
use crate::dicom::uid::Uid;
use crate::finding::FindingKind;
use crate::math::linalg;

/// What tells volumes apart, in the order in which it is tried: a name, and the attributes that say it.
const KEYS: [(&str, &[Tag]); 11] = [
    ("ImageType (0008,0008)", &[tags::FRAME_TYPE, tags::IMAGE_TYPE]),
    ("StackID (0020,9056)", &[tags::STACK_ID]),
    ("EchoTime (0018,0081)", &[tags::EFFECTIVE_ECHO_TIME, tags::ECHO_TIME]),
    ("EchoNumbers (0018,0086)", &[tags::ECHO_NUMBERS]),
    ("DiffusionBValue (0018,9087)", &[tags::DIFFUSION_B_VALUE]),
    ("DiffusionGradientOrientation (0018,9089)", &[tags::DIFFUSION_GRADIENT_ORIENTATION]),
    ("TemporalPositionIdentifier (0020,0100)", &[tags::TEMPORAL_POSITION_INDEX, tags::TEMPORAL_POSITION_IDENTIFIER]),
    ("AcquisitionNumber (0020,0012)", &[tags::FRAME_ACQUISITION_NUMBER, tags::ACQUISITION_NUMBER]),
    ("TriggerTime (0018,1060)", &[tags::NOMINAL_CARDIAC_TRIGGER_DELAY_TIME, tags::TRIGGER_TIME]),
    ("ConvolutionKernel (0018,1210)", &[tags::CONVOLUTION_KERNEL]),
    (
        "FrameReferenceTime (0054,1300)",
        &[tags::FRAME_REFERENCE_TIME, tags::FRAME_ACQUISITION_DATE_TIME, tags::ACQUISITION_TIME],
    ),
];

/// The values of one frame for each of the keys; empty where it says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys([String; KEYS.len()]);

impl Keys {
    pub fn of(layers: &Layers<'_>) -> Self {
        let first = |candidates: &[Tag]| {
            let found = candidates.iter().map(|tag| attributes::text(layers.holder(*tag), *tag));
            found.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
        };
        Self(KEYS.map(|(_, candidates)| first(candidates)))
    }
}

/// The slices of one volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// Indices of its frames.
    pub frames: Vec<usize>,
    /// What it was told apart by, with its value.
    pub by: Vec<(&'static str, String)>,
}

/// One frame as it takes part in the splitting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'a> {
    pub frame: &'a Frame,
    pub frame_of_reference: Option<&'a Uid>,
    /// What makes the result independent of the order of files.
    pub name: &'a str,
}

/// Sorts frames into volumes, the one with most slices first.
pub(super) fn groups(members: &[Member<'_>]) -> Vec<Group> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by(|a, b| {
        members[*a].name.cmp(members[*b].name).then(members[*a].frame.shape.index.cmp(&members[*b].frame.shape.index))
    });
    let mut classes: Vec<Vec<usize>> = Vec::new();
    for index in order {
        match classes.iter_mut().find(|class| can_be_one_volume(&members[class[0]], &members[index])) {
            Some(class) => class.push(index),
            None => classes.push(vec![index]),
        }
    }
    let mut groups: Vec<Group> = Vec::new();
    for class in classes {
        separate(members, Group { frames: class, by: Vec::new() }, 0, &mut groups);
    }
    // Stable: of equally many slices the group that came first by its key.
    groups.sort_by_key(|group| std::cmp::Reverse(group.frames.len()));
    groups
}

/// Why the frames are several volumes.
pub(super) fn cause(members: &[Member<'_>]) -> FindingKind {
    let first = members.first();
    let differs = |other: &dyn Fn(&Member<'_>, &Member<'_>) -> bool| {
        first.is_some_and(|first| members.iter().any(|member| other(first, member)))
    };
    if differs(&|a, b| !a.frame.plane.orientation.agrees_with(&b.frame.plane.orientation)) {
        FindingKind::MixedOrientation
    } else if differs(&|a, b| !same_matrix(a, b)) {
        FindingKind::MixedMatrix
    } else if differs(&|a, b| a.frame_of_reference != b.frame_of_reference) {
        FindingKind::MixedFrameOfReference
    } else {
        FindingKind::DuplicatePosition
    }
}

fn can_be_one_volume(a: &Member<'_>, b: &Member<'_>) -> bool {
    same_matrix(a, b)
        && a.frame_of_reference == b.frame_of_reference
        && a.frame.plane.orientation.agrees_with(&b.frame.plane.orientation)
}

fn same_matrix(a: &Member<'_>, b: &Member<'_>) -> bool {
    a.frame.shape.size == b.frame.shape.size && same_spacing(a.frame.plane.spacing_mm, b.frame.plane.spacing_mm)
}

/// Splits a group by the keys from `key` on, as far as several of its slices lie at one place.
fn separate(members: &[Member<'_>], group: Group, key: usize, groups: &mut Vec<Group>) {
    let most = most_at_one_place(members, &group.frames);
    if most < 2 {
        return groups.push(group);
    }
    for (offset, (name, _)) in KEYS.iter().enumerate().skip(key) {
        let mut parts: BTreeMap<Value<'_>, Vec<usize>> = BTreeMap::new();
        for index in &group.frames {
            let text = members[*index].frame.keys.0[offset].as_str();
            parts.entry(Value::of(text)).or_default().push(*index);
        }
        let separates = (2..=most).contains(&parts.len())
            && parts.values().map(|part| most_at_one_place(members, part)).max().is_some_and(|part| part < most);
        if separates {
            for (value, frames) in parts {
                let mut by = group.by.clone();
                by.push((*name, value.text.to_owned()));
                separate(members, Group { frames, by }, offset + 1, groups);
            }
            return;
        }
    }
    groups.push(group);
}

/// A value in its order: numbers by size, then texts.
#[derive(Debug, PartialEq)]
struct Value<'a> {
    number: Option<f64>,
    text: &'a str,
}

impl<'a> Value<'a> {
    fn of(text: &'a str) -> Self {
        Self { number: text.parse().ok(), text }
    }
}

impl Eq for Value<'_> {}

impl PartialOrd for Value<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        match (self.number, other.number) {
            (Some(a), Some(b)) => a.total_cmp(&b).then_with(|| self.text.cmp(other.text)),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => self.text.cmp(other.text),
        }
    }
}

/// How many slices lie where most of them lie.
fn most_at_one_place(members: &[Member<'_>], frames: &[usize]) -> usize {
    at_one_place(members, frames).iter().map(Vec::len).max().unwrap_or(0)
}

/// The frames of parallel planes by their place along the normal.
pub(super) fn at_one_place(members: &[Member<'_>], frames: &[usize]) -> Vec<Vec<usize>> {
    let Some(first) = frames.first() else { return Vec::new() };
    let normal = members[*first].frame.plane.orientation.normal();
    let height = |index: &usize| linalg::dot(members[*index].frame.plane.position_mm, normal);
    let mut order: Vec<usize> = frames.to_vec();
    order.sort_by(|a, b| height(a).total_cmp(&height(b)).then_with(|| members[*a].name.cmp(members[*b].name)));
    let mut places: Vec<Vec<usize>> = Vec::new();
    for index in order {
        match places.last_mut() {
            Some(place) if height(&index) - height(&place[0]) < SAME_POSITION_MM => place.push(index),
            _ => places.push(vec![index]),
        }
    }
    places
}

/// How a series was split, for a person: the keys that told its volumes apart.
pub(super) fn describe(groups: &[Group]) -> String {
    let names: BTreeSet<&str> = groups.iter().flat_map(|group| group.by.iter().map(|(name, _)| *name)).collect();
    let sizes: Vec<String> = groups.iter().map(|group| group.frames.len().to_string()).collect();
    let by =
        if names.is_empty() { "their planes".to_owned() } else { names.into_iter().collect::<Vec<_>>().join(", ") };
    format!("{} volumes of {} slices, told apart by {by}", groups.len(), sizes.join(", "))
}
