//! radiomicsd: a DICOM node that measures what it is sent.
//!
//! A PACS routes CT, MR and PET series with their structure sets to this daemon; it answers with DICOM Structured
//! Reports that hold IBSI radiomic features, and with the segmentations they were measured on. The data takes one path:
//!
//! ```text
//! receive -> store -> group -> volume -> register -> align -> normalise -> extract -> harmonise -> fuse -> report -> deliver
//!   net      store    case     volume   register   align   normalise   features   harmonise    fuse    report    net
//! ```
//!
//! Each stage is a function of its input and its settings, in the folder of that name. The numerical stages (`math`,
//! `image`, `register`, `align`, `normalise`, `features`, `harmonise`, `fuse`) know neither DICOM nor files nor sockets;
//! `volume` is the one bridge from DICOM to images, `report` the one bridge back.

pub mod clock;
pub mod error;
pub mod finding;
pub mod metrics;

pub mod image;
pub mod math;

pub mod align;
pub mod features;
pub mod fuse;
pub mod harmonise;
pub mod normalise;
pub mod register;

pub mod dicom;
pub mod report;
pub mod volume;

pub mod case;
pub mod pipeline;
pub mod store;
pub mod table;

pub mod audit;
pub mod http;
pub mod net;

pub mod cli;
pub mod daemon;

pub mod config;
pub mod phantom;
