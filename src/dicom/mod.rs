//! What the standard says: typed attributes, identifiers, codes, character sets, writing. Knows no network and no image.

pub mod attributes;
mod charset;
pub mod codec;
pub mod codes;
pub mod dataset;
pub mod facts;
pub mod geometry;
pub mod layers;
pub mod likeness;
pub mod part10;
pub mod private;
pub mod product;
pub mod rejection;
pub mod sr;
pub mod time;
pub mod uid;
pub mod write;
