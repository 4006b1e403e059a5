//! What the standard says: typed attributes, identifiers, codes, character sets, writing. Knows no network and no image.

pub mod attributes;
pub mod facts;
pub mod part10;
pub mod product;
pub mod uid;
pub mod write;
