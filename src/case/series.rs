//! One series, as far as it decides what a case is made of.

use jiff::civil::Date;

use super::attributes::Attributes;
use super::id::digest;
use super::instances::Instances;
use super::marking::Marking;
use super::spacing::{MissingSlices, missing_slices};
use crate::clock::Timestamp;
use crate::dicom::facts::{InstanceFacts, InstanceKind, PatientIdentity};
use crate::dicom::time;
use crate::dicom::uid::Uid;
use crate::math::linalg;

/// Directions of slices may differ by this much, as for the volume that is made of them.
const SAME_DIRECTION: f64 = 1e-4;

/// A series. Nothing in it depends on the order in which its instances came, except the times.
#[derive(Debug, Clone)]
pub(super) struct Series {
    /// Names the series among those that a case used.
    pub key: u64,
    /// Modality (0008,0060) of its images, the first in the alphabet where they differ.
    pub modality: String,
    /// When it was made, the latest where its images differ.
    pub made_at: String,
    /// Slice Thickness (0018,0050), the largest where its images differ.
    pub thickness_mm: Option<f64>,
    /// Images, each frame for itself.
    pub n_frames: u64,
    /// Frame of Reference UID (0020,0052) of its images.
    pub frame_of_reference: Option<Uid>,
    /// What its images say that protocols may match on.
    pub attributes: Attributes,
    /// Its images.
    pub images: Instances,
    /// Its RTSTRUCT, SEG and REG objects.
    pub markings: Vec<Marking>,
    /// The different identities that its instances name; one, if all is well.
    pub identities: Vec<PatientIdentity>,
    /// Study Date (0008,0020), the earliest where its instances differ.
    pub study_date: Option<Date>,
    /// When its first instance came.
    pub first_received_at: Timestamp,
    /// When its last instance came.
    pub last_received_at: Timestamp,
    /// Instances that are no images: only to know them again.
    others: Instances,
    /// The least and the largest component of the directions of its slices.
    directions: Option<([f64; 6], [f64; 6])>,
    /// The missing slices, while nothing new came.
    missing: Option<Option<MissingSlices>>,
}

/// What an instance changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    /// Nothing: it was there.
    Known,
    /// One more of a series. Whatever it says of the series can wait until that has settled.
    Alike,
    /// The first of a series, an object that refers to series, or another patient or date.
    News,
}

impl Series {
    pub(super) fn new(uid: &Uid, received_at: Timestamp) -> Self {
        Self {
            key: digest(&["series", uid.as_str()]),
            modality: String::new(),
            made_at: String::new(),
            thickness_mm: None,
            n_frames: 0,
            frame_of_reference: None,
            attributes: Attributes::default(),
            images: Instances::default(),
            markings: Vec::new(),
            identities: Vec::new(),
            study_date: None,
            first_received_at: received_at,
            last_received_at: received_at,
            others: Instances::default(),
            directions: None,
            missing: None,
        }
    }

    /// Takes in one instance. One that is known is not looked at again.
    pub(super) fn add(&mut self, facts: &InstanceFacts, received_at: Timestamp) -> Added {
        let (added, mut is_news) = match &facts.kind {
            InstanceKind::Image { .. } => (self.add_image(facts), false),
            _ => match Marking::of(facts, received_at) {
                _ if self.others.contains(&facts.sop_instance) => (false, false),
                Some(marking) => {
                    self.markings.push(marking);
                    (self.others.insert(&facts.sop_instance, None), true)
                }
                None => (self.others.insert(&facts.sop_instance, None), false),
            },
        };
        if !added {
            return Added::Known;
        }
        if !self.identities.contains(&facts.patient) {
            self.identities.push(facts.patient.clone());
            is_news = true;
        }
        let study_date = self.study_date.into_iter().chain(time::date(&facts.study_date)).min();
        is_news |= study_date != self.study_date || self.images.len() + self.others.len() == 1;
        self.study_date = study_date;
        self.first_received_at = self.first_received_at.min(received_at);
        self.last_received_at = self.last_received_at.max(received_at);
        self.missing = None;
        if is_news { Added::News } else { Added::Alike }
    }

    /// Nothing can have come later than now: a clock that was set back must not keep a series open.
    pub(super) fn clamp(&mut self, now: Timestamp) {
        self.first_received_at = self.first_received_at.min(now);
        self.last_received_at = self.last_received_at.min(now);
    }

    /// Makes the series small, once nothing has come for a while.
    pub(super) fn settle(&mut self) {
        if self.missing.is_none() {
            self.missing = Some(self.find_missing());
            self.images.pack();
            self.others.pack();
        }
    }

    /// The slices that it lacks.
    pub(super) fn missing_slices(&self) -> Option<MissingSlices> {
        self.missing.unwrap_or_else(|| self.find_missing())
    }

    fn find_missing(&self) -> Option<MissingSlices> {
        let turned = self
            .directions
            .is_some_and(|(least, most)| least.iter().zip(most).any(|(least, most)| most - least > SAME_DIRECTION));
        let heights = self.images.heights_mm();
        // Slices that lie across each other, or images without a place, are for the volume to judge.
        if turned || heights.len() < self.images.len() { None } else { missing_slices(&heights) }
    }

    /// Takes in an image: `false` where it was there.
    fn add_image(&mut self, facts: &InstanceFacts) -> bool {
        let InstanceKind::Image { position_mm, orientation, thickness_mm, n_frames } = &facts.kind else {
            return false;
        };
        let height_mm =
            position_mm.zip(*orientation).filter(|_| *n_frames <= 1).map(|(position, [rx, ry, rz, cx, cy, cz])| {
                linalg::dot(position, linalg::cross([rx, ry, rz], [cx, cy, cz]))
            });
        let is_first = self.images.len() == 0;
        #[allow(clippy::cast_possible_truncation)] // A tenth of a micrometre is left at a metre.
        let height_mm = height_mm.map(|height| height as f32).filter(|height| height.is_finite());
        if !self.images.insert(&facts.sop_instance, height_mm) {
            return false;
        }
        if is_first || facts.modality < self.modality {
            self.modality.clone_from(&facts.modality);
        }
        if facts.frame_of_reference.is_some()
            && (self.frame_of_reference.is_none() || facts.frame_of_reference < self.frame_of_reference)
        {
            self.frame_of_reference.clone_from(&facts.frame_of_reference);
        }
        if facts.made_at > self.made_at {
            self.made_at.clone_from(&facts.made_at);
        }
        self.thickness_mm = self.thickness_mm.into_iter().chain(*thickness_mm).max_by(f64::total_cmp);
        self.n_frames += u64::from(*n_frames);
        if let Some(turn) = orientation {
            let (least, most) = self.directions.get_or_insert((*turn, *turn));
            for ((least, most), component) in least.iter_mut().zip(most).zip(turn) {
                *least = least.min(*component);
                *most = most.max(*component);
            }
        }
        self.attributes.take(&facts.attributes, is_first);
        true
    }
}
