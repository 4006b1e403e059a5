//! The pictures of a result: each lesion in three planes on every role, and a page of its numbers.
//!
//! No picture says who the patient is; every panel is marked as of research use.

mod numbers;
mod panel;
pub(super) mod planes;
mod sheet;
pub(super) mod text;
pub(super) mod window;

pub(super) use panel::WATERMARK;

use super::png::Rgb;
use super::{CaseResult, Lesion, summary};
use crate::dicom::uid::Uid;

/// Lesions of which there are pictures: the first ones. A hundred metastases would fill a PACS with pages.
const LESIONS_MAX: usize = 12;

/// One page of pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    /// What it is among the documents of the case.
    pub(super) name: String,
    /// What it shows, in words.
    pub(super) title: String,
    pub(super) pixels: Rgb,
    /// The images that it shows: SOP class and instance.
    pub(super) shown: Vec<(Uid, Uid)>,
}

/// The lesions of which there are pictures.
pub(super) fn pictured(case: &CaseResult) -> impl Iterator<Item = &Lesion> {
    let measured = |lesion: &&Lesion| case.groups.iter().any(|group| group.lesion == lesion.number);
    case.lesions.iter().filter(measured).take(LESIONS_MAX)
}

/// The picture of one lesion; nothing where its images are not at hand.
pub(super) fn lesion(case: &CaseResult, lesion: &Lesion) -> Option<Picture> {
    let (pixels, shown) = sheet::sheet(case, lesion)?;
    let name = format!("picture-{}", lesion.number);
    Some(Picture { name, title: format!("{}, three planes", summary::title(lesion)), pixels, shown })
}

/// Every picture of a case: of each lesion its planes, then its numbers.
pub(super) fn pictures(case: &CaseResult) -> Vec<Picture> {
    let of_lesion = |one: &Lesion| {
        let numbers = Picture {
            name: format!("picture-{}-numbers", one.number),
            title: format!("{}, numbers", summary::title(one)),
            pixels: numbers::page(case, one),
            shown: Vec::new(),
        };
        lesion(case, one).into_iter().chain([numbers])
    };
    pictured(case).flat_map(of_lesion).collect()
}
