//! Model files: safetensors, with a JSON description of the model in the metadata.
//!
//! Tensors are named after Keras's layers: `dense.kernel` (row-major `[inputs, units]`, f32),
//! `dense.bias` (`[units]`), `dense_1.kernel` and so on. The description stands under the metadata
//! key `flatiron`. No number read from a file decides how much memory is taken before it has been
//! compared with the file's length.

mod description;

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Deserialize;

use self::description::{Checked, Description};
use crate::{Error, Model, Parameters};

/// The key of the description in the metadata.
const KEY: &str = "flatiron";

/// Bytes in front of the header: its length.
const PREFIX: usize = 8;

/// No header is longer: room for 65,536 class names of 200 bytes.
const MAX_HEADER: u64 = 16 << 20;

impl Model {
    /// Writes layers, weights, class names and settings to `path`, but not the optimizer's state: to
    /// a temporary file in the same folder, then renamed, so that `path` holds either what it held
    /// before or the whole model.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be written, [`Error::Invalid`] if a weight is not finite or a
    /// class name has control characters.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let bytes = self.to_safetensors()?;
        dataset::write_atomically(path, |file| file.write_all(&bytes))
            .map_err(|e| Error::File(e.to_string()))
    }

    /// Reads a model that [`save`](Self::save) has written. Trained further, its optimizer's state
    /// starts anew.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read, is damaged, or is not a model.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let name = path.display();
        read(path).map_err(|problem| Error::File(format!("{name}: {problem}")))
    }

    fn to_safetensors(&self) -> Result<Vec<u8>, Error> {
        let description = Description::of(self);
        let text = serde_json::to_string(&description)
            .map_err(|e| Error::Invalid(format!("the model cannot be described: {e}")))?;
        // What is written is what can be read.
        description.check().map_err(|problem| {
            Error::Invalid(format!("the model {problem}, which no model file may have"))
        })?;
        let parameters = self.parameters();
        if let Some(bad) = parameters.values().iter().find(|value| !value.is_finite()) {
            return Err(Error::Invalid(format!("a weight is {bad}: the model is not saved")));
        }
        let bytes: Vec<u8> = parameters.values().iter().flat_map(|v| v.to_le_bytes()).collect();
        let size = size_of::<f32>();
        let mut tensors = Vec::new();
        for (l, layout) in parameters.layers().iter().enumerate() {
            let [kernel, bias] = tensor_names(l);
            let (weights, biases) = (&layout.weights, &layout.biases);
            for (name, shape, range) in [
                (kernel, vec![layout.inputs, layout.units], weights),
                (bias, vec![layout.units], biases),
            ] {
                let data = &bytes[range.start * size..range.end * size];
                let view = TensorView::new(Dtype::F32, shape, data)
                    .expect("a layout's ranges are as long as its shapes say");
                tensors.push((name, view));
            }
        }
        // One entry alone: the map's order, and with two the file's bytes, would vary.
        let metadata = HashMap::from([(KEY.to_owned(), text)]);
        safetensors::serialize(tensors, Some(metadata))
            .map_err(|e| Error::Invalid(format!("the model cannot be serialized: {e}")))
    }
}

/// The names of dense layer `l`'s weights and biases.
fn tensor_names(l: usize) -> [String; 2] {
    let layer = if l == 0 { "dense".to_owned() } else { format!("dense_{l}") };
    [format!("{layer}.kernel"), format!("{layer}.bias")]
}

/// Reads the model in `path`. The error is the end of a sentence that starts with the file's name.
fn read(path: &Path) -> Result<Model, String> {
    let mut file = File::open(path).map_err(|e| {
        let remedy = match e.kind() {
            ErrorKind::NotFound => "; models come from `trainer train --save FILE`",
            _ => "",
        };
        format!("cannot be read: {e}{remedy}")
    })?;
    let metadata = file.metadata().map_err(|e| e.to_string())?;
    if metadata.is_dir() {
        return Err("is a folder; name a model file".to_owned());
    }
    if !metadata.is_file() {
        return Err("is not a regular file; name a model file".to_owned());
    }
    parse(&mut file, metadata.len())
}

/// Reads a model from a file of `length` bytes.
fn parse(file: &mut impl Read, length: u64) -> Result<Model, String> {
    let damaged = || {
        format!("is not a model file, or is damaged: no safetensors header in its {length} bytes")
    };
    let mut bytes = vec![0; PREFIX];
    file.read_exact(&mut bytes).map_err(|_| damaged())?;
    let header = u64::from_le_bytes(bytes[..].try_into().expect("the prefix has eight bytes"));
    if header > MAX_HEADER || header > length.saturating_sub(PREFIX as u64) {
        return Err(damaged());
    }
    let header_end = PREFIX + header as usize;
    bytes.resize(header_end, 0);
    file.read_exact(&mut bytes[PREFIX..]).map_err(|e| e.to_string())?;

    let checked = describe(&bytes[PREFIX..])?.check()?;
    let expected = file_length(header_end as u64, &checked.widths)
        .ok_or("describes layers too large for any memory")?;
    if length != expected {
        let fault = if length < expected { "is cut short" } else { "is too long" };
        return Err(format!(
            "{fault}: {length} bytes, and the layers it describes need {expected}"
        ));
    }
    bytes.resize(usize::try_from(length).map_err(|e| e.to_string())?, 0);
    file.read_exact(&mut bytes[header_end..]).map_err(|e| e.to_string())?;
    build(&bytes, checked)
}

/// The description in a safetensors header.
fn describe(header: &[u8]) -> Result<Description, String> {
    #[derive(Deserialize)]
    struct Header {
        #[serde(rename = "__metadata__", default)]
        metadata: HashMap<String, String>,
    }
    let header: Header = serde_json::from_slice(header)
        .map_err(|e| format!("is not a model file, or is damaged: header: {e}"))?;
    let description = header.metadata.get(KEY).ok_or(
        "is a safetensors file without a model description (metadata key `flatiron`); \
         models come from `trainer train --save`",
    )?;
    serde_json::from_str(description).map_err(|e| format!("has a damaged model description: {e}"))
}

/// The length of a file whose header ends at `header` and whose dense layers have these widths;
/// none if it does not fit into 64 bits.
fn file_length(header: u64, widths: &[usize]) -> Option<u64> {
    widths.windows(2).try_fold(header, |length, pair| {
        let (inputs, units) = (pair[0] as u64, pair[1] as u64);
        let values = inputs.checked_add(1)?.checked_mul(units)?;
        length.checked_add(values.checked_mul(size_of::<f32>() as u64)?)
    })
}

/// Takes the numbers out of the whole file.
fn build(bytes: &[u8], checked: Checked) -> Result<Model, String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| format!("is damaged: {e}"))?;
    let mut parameters = Parameters::zeros(&checked.widths);
    let layouts = parameters.layers().to_vec();
    if tensors.len() != 2 * layouts.len() {
        return Err(format!(
            "holds {} tensors, and the {} dense layers it describes have {}",
            tensors.len(),
            layouts.len(),
            2 * layouts.len()
        ));
    }
    for (l, layout) in layouts.iter().enumerate() {
        let [kernel, bias] = tensor_names(l);
        let values = parameters.values_mut();
        copy(
            &tensors,
            &kernel,
            &[layout.inputs, layout.units],
            &mut values[layout.weights.clone()],
        )?;
        copy(&tensors, &bias, &[layout.units], &mut values[layout.biases.clone()])?;
    }
    let mut model = checked
        .stack
        .compile_with_parameters(checked.optimizer, checked.loss, parameters)
        .map_err(|e| format!("describes a model that cannot work: {e}"))?;
    model.set_class_names(checked.class_names);
    Ok(model)
}

/// Copies the tensor `name` into `target`.
fn copy(
    tensors: &SafeTensors<'_>,
    name: &str,
    shape: &[usize],
    target: &mut [f32],
) -> Result<(), String> {
    let tensor = tensors.tensor(name).map_err(|_| format!("holds no tensor `{name}`"))?;
    if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
        return Err(format!(
            "tensor `{name}` is {} {:?}, and the description asks for F32 {shape:?}",
            tensor.dtype(),
            tensor.shape()
        ));
    }
    for (value, bytes) in target.iter_mut().zip(tensor.data().chunks_exact(size_of::<f32>())) {
        *value = f32::from_le_bytes(bytes.try_into().expect("chunks of four"));
        if !value.is_finite() {
            return Err(format!("is damaged: tensor `{name}` holds {value}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
