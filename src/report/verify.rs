//! Our own check of a document before it is handed out.
//!
//! It reads the encoded bytes back and looks for what a PACS or a viewer would refuse: attributes that must be there, UIDs
//! and values that their VR does not allow, codes without meaning, private schemes that are not declared, references that
//! the evidence does not list, template rows in another order or relation, numbers without or with a wrong unit, frames
//! that do not match their description. It is no full validator: those run in the tests.

mod attributes;
mod content;
mod key_objects;
mod reg;
mod seg;

use dicom_dictionary_std::uids;
use dicom_object::OpenFileOptions;

use crate::dicom::sr::SrClass;

/// One rule of the standard that a document breaks. Places are attribute names and item numbers, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// No DICOM file, or cut short.
    #[error("the bytes cannot be read back as a DICOM file")]
    Unreadable,
    /// A type 1 attribute is absent or empty, or a type 2 attribute absent.
    #[error("{0} is absent, or empty where it must have a value")]
    Missing(String),
    /// A UID that is none.
    #[error("{0} holds a malformed UID")]
    Uid(String),
    /// A value that is longer than its VR allows, or not of its form.
    #[error("{0} holds a value that its VR does not allow")]
    Value(String),
    /// A code item without value, scheme or meaning.
    #[error("{0} holds a code without value, scheme or meaning")]
    Code(String),
    /// A private coding scheme that is not declared.
    #[error("the coding scheme {0} is private and not declared")]
    Scheme(String),
    /// The content tree cannot be read.
    #[error("{0}")]
    Content(#[from] crate::dicom::sr::ReadError),
    /// An item in a place, relation or form that the template does not know.
    #[error("content item {place} breaks template {template}: {reason}")]
    Template {
        /// Which item, as `1.11.2`.
        place: String,
        /// Which template.
        template: &'static str,
        /// How.
        reason: &'static str,
    },
    /// A reference to an instance that the evidence does not list.
    #[error("content item {0} refers to an instance that the evidence does not list")]
    Evidence(String),
    /// A number whose unit does not fit what it measures.
    #[error("content item {0} has a unit that does not fit its concept")]
    Unit(String),
    /// A decimal string that is not the exact number beside it.
    #[error("content item {0} has a decimal string that differs from its floating point value")]
    Number(String),
    /// A registration without images or without a matrix.
    #[error("the registration is incomplete: {0}")]
    Registration(&'static str),
    /// Frames, segments and pixel data do not fit together.
    #[error("the segmentation is inconsistent: {0}")]
    Frames(&'static str),
}

/// What a document breaks; empty when it may be sent.
#[must_use]
pub fn verify(file: &[u8]) -> Vec<Violation> {
    let Ok(file) = OpenFileOptions::new().from_reader(file) else {
        return vec![Violation::Unreadable];
    };
    let mut violations = Vec::new();
    attributes::check(&file, &mut violations);
    let class = file.meta().media_storage_sop_class_uid().trim_end_matches('\0');
    if SrClass::from_sop_class(class).is_some() {
        content::check(&file, &mut violations);
    } else if class == uids::SEGMENTATION_STORAGE {
        seg::check(&file, &mut violations);
    } else if class == uids::SPATIAL_REGISTRATION_STORAGE {
        reg::check(&file, &mut violations);
    } else if class == uids::DEFORMABLE_SPATIAL_REGISTRATION_STORAGE {
        reg::check_deformable(&file, &mut violations);
    } else if class == uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE {
        key_objects::check(&file, &mut violations);
    }
    violations
}
