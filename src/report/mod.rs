//! From results to documents: SR, SEG, `report.json`, `features.csv`. The one bridge back from images to DICOM.

mod result;

pub use result::*;
