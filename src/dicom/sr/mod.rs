//! Structured Report content trees (PS3.3 C.17.3, PS3.16 TID 1500): items, one file per template, encoder, reader.
//!
//! A template is a function from typed values to items; each item names the row of the template that it is. Only by-value
//! relationships and value types that Enhanced, Comprehensive and Comprehensive 3D SR have in common are made, so one
//! tree is valid in all three.

mod class;
mod encode;
mod evidence;
mod item;
mod read;
pub mod tid1001;
pub mod tid1411;
pub mod tid1419;
pub mod tid1500;
pub mod tid1501;
pub mod tid1600;
pub mod tid4019;

pub use class::SrClass;
pub use encode::put_content;
pub use evidence::Evidence;
pub use item::{Content, ImageReference, Item, Number, Relationship};
pub use read::{ReadError, read_content};
