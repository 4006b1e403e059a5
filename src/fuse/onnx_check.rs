//! What an ONNX file must be like before anything of it is run.
//!
//! It is a file of strangers. Refused are operators of which it is not known that their results are as small as their inputs
//! let them be (loops, expansions, random numbers, custom ones), tensors outside the file or of another length than their
//! shape says, arithmetic on constants alone (it would be done while the file is read), other operator sets, and inputs of
//! another shape. Nodes that the output does not need are dropped: labels and maps that exporters add beside probabilities.

use std::collections::BTreeSet;

use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dimension;
use tract_onnx::pb::type_proto::Value as TypeValue;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};

use super::brought::Call;

/// What a model is to take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub n_values: usize,
    pub n_blocks: usize,
}

/// Operator sets of the standard that are known.
const OPSETS: std::ops::RangeInclusive<i64> = 9..=22;
/// Nodes, at most.
const NODES_MAX: usize = 2_000;
/// Operators whose results are no larger than their inputs, broadcast to each other, let them be.
const OPERATORS: [&str; 48] = [
    "Abs",
    "Add",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Concat",
    "Constant",
    "Div",
    "Dropout",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Flatten",
    "Gather",
    "Gemm",
    "Greater",
    "HardSigmoid",
    "Identity",
    "LayerNormalization",
    "LeakyRelu",
    "Less",
    "Log",
    "LogSoftmax",
    "MatMul",
    "Max",
    "Min",
    "Mul",
    "Neg",
    "Not",
    "Pow",
    "Reciprocal",
    "ReduceMax",
    "ReduceMean",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Selu",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Softplus",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Tanh",
    "Transpose",
    "Unsqueeze",
];
/// Those of them that may work on constants alone: they make nothing larger.
const ON_CONSTANTS: [&str; 8] =
    ["Cast", "Constant", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"];

/// The model with what its output needs and nothing else.
///
/// # Errors
/// With a sentence of what is wrong with it.
pub(super) fn checked(mut proto: ModelProto, call: &Call, sizes: Sizes) -> Result<ModelProto, String> {
    let standard = |domain: &str| matches!(domain, "" | "ai.onnx");
    let version = proto.opset_import.iter().find(|set| standard(&set.domain)).map(|set| set.version);
    match version {
        Some(version) if OPSETS.contains(&version) => {}
        Some(version) => {
            return Err(format!("has operator set {version}, expected {} to {}", OPSETS.start(), OPSETS.end()));
        }
        None => return Err("names no operator set of the standard".to_owned()),
    }
    if !proto.functions.is_empty() || !proto.training_info.is_empty() {
        return Err("has functions or training of its own, expected a graph alone".to_owned());
    }
    let mut graph = proto.graph.take().ok_or("has no graph")?;
    if graph.node.len() > NODES_MAX || !graph.sparse_initializer.is_empty() {
        return Err(format!("has {} nodes or sparse tensors, expected at most {NODES_MAX} and none", graph.node.len()));
    }
    keep_what_is_needed(&mut graph, &call.output);
    check_inputs(&graph, call, sizes)?;
    graph.initializer.iter().try_for_each(check_tensor)?;
    check_nodes(&graph, call)?;
    graph.output = vec![ValueInfoProto { name: call.output.clone(), ..ValueInfoProto::default() }];
    graph.value_info.clear();
    graph.quantization_annotation.clear();
    proto.graph = Some(graph);
    Ok(proto)
}

/// Drops nodes and tensors that do not lead to the output.
fn keep_what_is_needed(graph: &mut GraphProto, output: &str) {
    let mut needed: BTreeSet<String> = BTreeSet::from([output.to_owned()]);
    let mut keep = vec![false; graph.node.len()];
    // Nodes stand in the order of their use; a file where they do not is refused later.
    for (node, keep) in graph.node.iter().zip(&mut keep).rev() {
        if node.output.iter().any(|name| needed.contains(name)) {
            *keep = true;
            needed.extend(node.input.iter().filter(|name| !name.is_empty()).cloned());
        }
    }
    let mut keep = keep.into_iter();
    graph.node.retain(|_| keep.next().unwrap_or(false));
    graph.initializer.retain(|tensor| needed.contains(&tensor.name));
}

fn check_inputs(graph: &GraphProto, call: &Call, sizes: Sizes) -> Result<(), String> {
    let constant = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    let inputs: Vec<&ValueInfoProto> = graph.input.iter().filter(|input| !constant(&input.name)).collect();
    let mut wanted = vec![(&call.input, sizes.n_values)];
    wanted.extend(call.mask_input.as_ref().map(|mask| (mask, sizes.n_blocks)));
    let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    if names.len() != wanted.len() || wanted.iter().any(|(name, _)| !names.contains(&name.as_str())) {
        let expected: Vec<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
        return Err(format!("takes the inputs {names:?}, expected {expected:?}"));
    }
    for (name, n) in wanted {
        let value =
            inputs.iter().find(|input| input.name == *name).and_then(|input| input.r#type.as_ref()?.value.as_ref());
        let Some(TypeValue::TensorType(tensor)) = value else { return Err(format!("input {name} is no tensor")) };
        if tensor.elem_type != DataType::Float as i32 {
            return Err(format!("input {name} is not of 32-bit floats"));
        }
        let dims = tensor.shape.as_ref().map(|shape| shape.dim.as_slice()).unwrap_or_default();
        let fits = |at: usize, expected: usize| match dims.get(at).and_then(|dim| dim.value.as_ref()) {
            Some(Dimension::DimValue(found)) => usize::try_from(*found).is_ok_and(|found| found == expected),
            // A name, or nothing: any length.
            Some(Dimension::DimParam(_)) | None => true,
        };
        if dims.len() != 2 || !fits(0, 1) || !fits(1, n) {
            return Err(format!("input {name} has another shape, expected rows of {n} values"));
        }
    }
    Ok(())
}

/// A tensor within the file, as long as its shape says, of a type that is known.
fn check_tensor(tensor: &TensorProto) -> Result<(), String> {
    let name = &tensor.name;
    let outside = tensor.data_location == Some(DataLocation::External as i32) || !tensor.external_data.is_empty();
    if outside || tensor.segment.is_some() {
        return Err(format!("tensor {name} is not in the file"));
    }
    let length = |n: Option<usize>, dim: &i64| n?.checked_mul(usize::try_from(*dim).ok()?);
    let n = tensor.dims.iter().fold(Some(1usize), length);
    let is = |kind: DataType| tensor.data_type == kind as i32;
    let (bytes, listed) = match () {
        () if is(DataType::Float) => (4, tensor.float_data.len()),
        () if is(DataType::Double) => (8, tensor.double_data.len()),
        () if is(DataType::Int64) => (8, tensor.int64_data.len()),
        () if is(DataType::Int32) => (4, tensor.int32_data.len()),
        () if is(DataType::Bool) => (1, tensor.int32_data.len()),
        () => return Err(format!("tensor {name} is of a type that is not known")),
    };
    let found = if tensor.raw_data.is_empty() { Some(listed) } else { tensor.raw_data.len().checked_div(bytes) };
    let whole = tensor.raw_data.len().is_multiple_of(bytes);
    if n != found || !whole || n == Some(0) {
        return Err(format!("tensor {name} has another length than its shape says"));
    }
    Ok(())
}

/// Known operators in the order of their use, none of them on constants alone that could make something large of them.
fn check_nodes(graph: &GraphProto, call: &Call) -> Result<(), String> {
    let mut constants: BTreeSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let mut known: BTreeSet<&str> = constants.clone();
    known.insert(&call.input);
    known.extend(call.mask_input.as_deref());
    for node in &graph.node {
        let NodeProto { op_type, domain, .. } = node;
        if !matches!(domain.as_str(), "" | "ai.onnx") || !OPERATORS.contains(&op_type.as_str()) {
            let domain = if domain.is_empty() { "ai.onnx" } else { domain };
            return Err(format!("needs the operator {op_type} of {domain}, which is not run here"));
        }
        for attribute in &node.attribute {
            let graphs = attribute.g.is_some() || !attribute.graphs.is_empty();
            if graphs || attribute.sparse_tensor.is_some() || !attribute.sparse_tensors.is_empty() {
                return Err(format!("{op_type} has a graph or a sparse tensor as an attribute"));
            }
            attribute.t.iter().chain(&attribute.tensors).try_for_each(check_tensor)?;
        }
        let inputs: Vec<&str> = node.input.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
        if let Some(name) = inputs.iter().find(|name| !known.contains(**name)) {
            return Err(format!("{op_type} uses {name} before it is there"));
        }
        let constant = inputs.iter().all(|name| constants.contains(name));
        if constant && !ON_CONSTANTS.contains(&op_type.as_str()) {
            return Err(format!("{op_type} works on constants alone: export it with constants folded"));
        }
        for output in node.output.iter().map(String::as_str).filter(|name| !name.is_empty()) {
            if !known.insert(output) {
                return Err(format!("{output} is made twice"));
            }
            if constant {
                constants.insert(output);
            }
        }
    }
    if !known.contains(call.output.as_str()) || constants.contains(call.output.as_str()) {
        return Err(format!("does not make the output {} of its inputs", call.output));
    }
    Ok(())
}
