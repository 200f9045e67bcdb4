//! The summary of a model: its layers with shapes and parameter counts, laid out as Keras does.

use std::fmt;

use crate::format::{bytes, grouped, tuple};
use crate::{Layer, Model};

/// One layer of a [`Summary`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryRow {
    /// Keras's automatic name: `flatten`, `dense`, `dense_1`.
    pub name: String,
    /// `Flatten` or `Dense`.
    pub kind: &'static str,
    /// Shape of the layer's output for one example.
    pub output_shape: Vec<usize>,
    /// Weights and biases.
    pub parameters: usize,
}

/// A model's layers with shapes and parameter counts. `Display` draws the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// One row a layer, first to last.
    pub rows: Vec<SummaryRow>,
    /// All parameters.
    pub total: usize,
}

impl Model {
    /// The layers with shapes and parameter counts.
    pub fn summary(&self) -> Summary {
        let mut dense_layouts = self.parameters().layers().iter();
        let mut dense_count = 0;
        let mut flatten_count = 0;
        let rows = self.layers().iter().map(|layer| match layer {
            Layer::Flatten => {
                flatten_count += 1;
                SummaryRow {
                    name: numbered("flatten", flatten_count),
                    kind: "Flatten",
                    output_shape: vec![self.input_shape().iter().product()],
                    parameters: 0,
                }
            }
            Layer::Dense(dense) => {
                let layout = dense_layouts.next().expect("a layout for every dense layer");
                dense_count += 1;
                SummaryRow {
                    name: numbered("dense", dense_count),
                    kind: "Dense",
                    output_shape: vec![dense.units],
                    parameters: layout.weights.len() + layout.biases.len(),
                }
            }
        });
        Summary { rows: rows.collect(), total: self.parameters().values().len() }
    }

    /// The layers in one line: `784 -> 512 relu -> 10 softmax, 407,050 parameters`.
    pub fn summary_line(&self) -> String {
        let mut line = self.input_shape().iter().product::<usize>().to_string();
        for layer in self.layers() {
            if let Layer::Dense(dense) = layer {
                line += &format!(" -> {} {}", dense.units, dense.activation.name());
            }
        }
        line + &format!(", {} parameters", grouped(self.parameters().values().len() as u64))
    }
}

/// Keras's numbering of layers of a kind: the first has none.
fn numbered(name: &str, count: usize) -> String {
    if count == 1 { name.to_owned() } else { format!("{name}_{}", count - 1) }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["Layer (type)", "Output Shape", "Param #"].map(str::to_owned);
        let body: Vec<[String; 3]> = self
            .rows
            .iter()
            .map(|row| {
                let shape = tuple(&row.output_shape).replacen('(', "(None, ", 1).replace(",)", ")");
                [format!("{} ({})", row.name, row.kind), shape, grouped(row.parameters as u64)]
            })
            .collect();
        let widths: [usize; 3] = std::array::from_fn(|column| {
            body.iter().chain([&head]).map(|row| row[column].len()).max().unwrap_or(0)
        });
        let rule = |f: &mut fmt::Formatter<'_>, [left, line, cross, right]: [&str; 4]| {
            let lines = widths.map(|width| line.repeat(width + 2));
            writeln!(f, "{left}{}{right}", lines.join(cross))
        };
        let row = |f: &mut fmt::Formatter<'_>, side: &str, cells: &[String; 3]| {
            let [name, shape, count] = cells;
            writeln!(
                f,
                "{side} {name:<0$} {side} {shape:<1$} {side} {count:>2$} {side}",
                widths[0], widths[1], widths[2]
            )
        };
        rule(f, ["┏", "━", "┳", "┓"])?;
        row(f, "┃", &head)?;
        rule(f, ["┡", "━", "╇", "┩"])?;
        for (i, cells) in body.iter().enumerate() {
            if i > 0 {
                rule(f, ["├", "─", "┼", "┤"])?;
            }
            row(f, "│", cells)?;
        }
        rule(f, ["└", "─", "┴", "┘"])?;
        write!(
            f,
            "Total params: {} ({})",
            grouped(self.total as u64),
            bytes(self.total as u64 * size_of::<f32>() as u64)
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::{Activation, Dense, Flatten, Loss, Optimizer, Parameters, Sequential};

    #[test]
    fn the_notebooks_model_has_407_050_parameters() {
        let model = Sequential::new([28, 28])
            .layer(Flatten)
            .layer(Dense::new(512, Activation::Relu))
            .layer(Dense::new(10, Activation::Softmax))
            .compile_with_parameters(
                Optimizer::rmsprop(),
                Loss::SparseCategoricalCrossentropy,
                Parameters::zeros(&[784, 512, 10]),
            )
            .unwrap();
        assert_eq!(model.summary_line(), "784 -> 512 relu -> 10 softmax, 407,050 parameters");
        let expected = "\
┏━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┳━━━━━━━━━┓
┃ Layer (type)      ┃ Output Shape ┃ Param # ┃
┡━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━╇━━━━━━━━━┩
│ flatten (Flatten) │ (None, 784)  │       0 │
├───────────────────┼──────────────┼─────────┤
│ dense (Dense)     │ (None, 512)  │ 401,920 │
├───────────────────┼──────────────┼─────────┤
│ dense_1 (Dense)   │ (None, 10)   │   5,130 │
└───────────────────┴──────────────┴─────────┘
Total params: 407,050 (1.55 MiB)";
        assert_eq!(model.summary().to_string(), expected);
        assert_eq!(model.summary().total, 407_050);
    }
}
