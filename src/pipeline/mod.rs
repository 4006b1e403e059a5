//! One case through all stages: from its files to its result.
//!
//! ```text
//! roles -> regions -> maps -> lesions -> native ----------> result
//!                                    \-> aligned (per lesion) -/
//! ```
//!
//! [`run`] calls the stages in their order and carries what each found to the next; no stage knows of another. It blocks,
//! and works on the threads of the current rayon pool. What it makes depends on the job alone, never on the clock or the
//! number of threads; only the timings differ from run to run.
//!
//! What this does not do: it writes nothing (documents are made of the result by `report`), and it chooses nothing (which
//! series and structure sets belong to the case is decided by grouping).

mod agree;
mod aligned;
mod automatic;
mod carry;
mod crossed;
mod error;
mod fuse;
mod fused;
mod given;
mod harmonise;
mod image_file;
mod job;
mod lesions;
mod maps;
mod measure;
mod memory;
mod misregistration;
mod native;
mod pair;
mod provenance;
mod regions;
mod remarks;
mod resolution;
mod roles;
mod side;
mod single;
mod timing;

pub use error::PipelineError;
pub use image_file::ImageFile;
pub use job::{Job, SourceFile, run};
pub use memory::estimate_memory;
pub use pair::{PairJob, PairResult, register_files};
pub use provenance::NUMERICS_VERSION;
pub use single::{SingleError, SingleJob, SingleResult, measure_files, response_of_files};
pub use timing::Stage;
