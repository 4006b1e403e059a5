//! What the standard says: typed attributes, identifiers, codes, character sets, writing. Knows no network and no image.

pub mod facts;
pub mod uid;
