//! Runs an ONNX file by `tract`, once `onnx_check` has let it through.
//!
//! Shapes are fixed to one row; the results of all operators are counted before anything is run. A file that makes the
//! library panic is refused like any other.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::konst::Const;

use super::brought::Call;
use super::onnx_check::{Sizes, checked};

/// Values of all results together, at most; of one result a sixteenth of that.
const RESULT_VALUES_MAX: usize = 1 << 20;

/// A model that is ready to be run.
pub(super) struct Runner {
    plan: TypedRunnableModel<TypedModel>,
    n_values: usize,
    n_blocks: usize,
    masked: bool,
    column: usize,
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").field("n_values", &self.n_values).finish_non_exhaustive()
    }
}

impl Runner {
    /// Makes a file ready that takes `n_values` values and, where it asks for them, `n_blocks` flags.
    ///
    /// # Errors
    /// With a sentence why it cannot be run.
    pub(super) fn load(bytes: &[u8], call: &Call, n_values: usize, n_blocks: usize) -> Result<Self, String> {
        let sizes = Sizes { n_values, n_blocks };
        let made = guarded(|| {
            let proto = onnx().proto_model_for_read(&mut &bytes[..]).map_err(|_| "is no ONNX file".to_owned())?;
            let proto = checked(proto, call, sizes)?;
            let plan = plan(&proto, call, sizes).map_err(|error| format!("cannot be run: {error:#}"))?;
            Ok(Self { plan, n_values, n_blocks, masked: call.mask_input.is_some(), column: call.output_column })
        })?;
        // One row that is nothing in particular: what fails always, fails here.
        made.run(&vec![0.0; n_values], &vec![true; n_blocks])?;
        Ok(made)
    }

    /// What the model says of one row.
    ///
    /// # Errors
    /// With a sentence why it says nothing.
    #[allow(clippy::cast_possible_truncation)] // ONNX models of tables take 32-bit floats
    pub(super) fn run(&self, values: &[f64], mask: &[bool]) -> Result<f64, String> {
        if values.len() != self.n_values || mask.len() != self.n_blocks {
            return Err(format!("got {} values, expected {}", values.len(), self.n_values));
        }
        let row: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        let flags: Vec<f32> = mask.iter().map(|there| if *there { 1.0 } else { 0.0 }).collect();
        guarded(|| {
            let tensor = |row: &[f32]| Tensor::from_shape(&[1, row.len()], row).map_err(|error| error.to_string());
            let mut inputs = tvec!(tensor(&row)?.into());
            if self.masked {
                inputs.push(tensor(&flags)?.into());
            }
            let outputs = self.plan.run(inputs).map_err(|error| error.to_string())?;
            let output = outputs.first().ok_or("gives no output")?;
            let output = output.cast_to::<f32>().map_err(|error| error.to_string())?;
            let values = output.to_array_view::<f32>().map_err(|error| error.to_string())?;
            let said = values.iter().nth(self.column);
            said.map(|value| f64::from(*value)).ok_or_else(|| {
                format!("gives {} values, and the one of column {} is asked for", values.len(), self.column)
            })
        })
    }
}

/// The typed model with all shapes known, counted and optimised.
fn plan(proto: &tract_onnx::pb::ModelProto, call: &Call, sizes: Sizes) -> TractResult<TypedRunnableModel<TypedModel>> {
    let mut model = onnx().model_for_proto_model(proto)?;
    let inputs: Vec<&String> = std::iter::once(&call.input).chain(&call.mask_input).collect();
    model.set_input_names(inputs.iter().map(|name| name.as_str()))?;
    model.set_input_fact(0, f32::fact([1, sizes.n_values]).into())?;
    if call.mask_input.is_some() {
        model.set_input_fact(1, f32::fact([1, sizes.n_blocks]).into())?;
    }
    model.set_output_names([call.output.as_str()])?;
    let typed = model.into_typed()?;
    let mut total = 0usize;
    for node in typed.nodes().iter().filter(|node| !node.op_is::<Const>()) {
        for output in &node.outputs {
            let shape = output.fact.shape.as_concrete();
            let Some(shape) = shape else {
                return Err(TractError::msg(format!("{} has no fixed shape", node.name)));
            };
            let n = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).unwrap_or(usize::MAX);
            total = total.saturating_add(n);
            if n > RESULT_VALUES_MAX / 16 || total > RESULT_VALUES_MAX {
                let told = format!("{} makes results of {n} values, more than a model of tables needs", node.name);
                return Err(TractError::msg(told));
            }
        }
    }
    typed.into_optimized()?.into_runnable()
}

/// Turns a panic of the library into a refusal.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("cannot be run".to_owned()))
}
