//! Values of flags: each parser says what it expected.

use dataset::formats::Format;
use trainer::{Activation, Loss, Optimizer};

/// Threads beyond which a number is taken for a slip.
const MAX_THREADS: usize = 1024;

/// Units of the hidden layers, first to last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden(pub Vec<usize>);

/// `512`, `256,128`, or `none`.
pub fn hidden(text: &str) -> Result<Hidden, String> {
    if matches!(text.trim(), "" | "none") {
        return Ok(Hidden(Vec::new()));
    }
    text.split(',')
        .map(|part| {
            at_least_one(part.trim()).map_err(|_| {
                "expected the units of each hidden layer, 1 or more, such as 512 or 256,128, or \
                 `none` for no hidden layer"
                    .to_owned()
            })
        })
        .collect::<Result<_, _>>()
        .map(Hidden)
}

/// A whole number of 1 or more.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number, 1 or more".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// A number of examples, as many as a data set can have.
pub fn examples(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("expected a whole number from 1 to {}", u32::MAX)),
        Ok(number) => Ok(number),
    }
}

/// The number of a test image.
pub fn image_number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| {
        "expected the number of a test image, counted from 0 (a data set goes before --index, or \
         behind --data)"
            .to_owned()
    })
}

/// A seed.
pub fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

/// A number of threads.
pub fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads @ 1..=MAX_THREADS) => Ok(threads),
        _ => Err(format!("expected a whole number from 1 to {MAX_THREADS}")),
    }
}

/// A step size: finite and above zero, also as the `f32` that the weights are.
pub fn learning_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (rate as f32).is_finite() && rate as f32 > 0.0 => Ok(rate),
        _ => Err("expected a number above 0, such as 0.001".to_owned()),
    }
}

/// A fraction of the last update.
pub fn momentum(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(momentum) if (0.0..1.0).contains(&momentum) && (momentum as f32) < 1.0 => Ok(momentum),
        _ => Err("expected a number from 0 up to, but not including, 1, such as 0.9".to_owned()),
    }
}

/// A part of the training examples; all of them would leave none to train on.
pub fn validation_split(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(fraction) if (0.0..1.0).contains(&fraction) => Ok(fraction),
        _ => Err("expected a fraction from 0 up to, but not including, 1, such as 0.1".to_owned()),
    }
}

/// A part that leaves something on both sides.
pub fn holdout(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(fraction) if fraction > 0.0 && fraction < 1.0 => Ok(fraction),
        _ => Err("expected a fraction between 0 and 1, such as 0.2".to_owned()),
    }
}

/// An accuracy to reach.
pub fn accuracy(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(accuracy) if accuracy > 0.0 && accuracy <= 1.0 => Ok(accuracy),
        _ => Err("expected an accuracy above 0 and up to 1, such as 0.98".to_owned()),
    }
}

/// A number of bytes: `2GiB`, `500M`, `1048576`. All units are powers of 1,024.
pub fn memory(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kb" | "kib" => Some(1 << 10),
        "m" | "mb" | "mib" => Some(1 << 20),
        "g" | "gb" | "gib" => Some(1 << 30),
        "t" | "tb" | "tib" => Some(1u64 << 40),
        _ => None,
    };
    let number = text[..digits].parse::<u64>().ok().filter(|&number| number > 0);
    unit.zip(number)
        .and_then(|(unit, number)| number.checked_mul(unit))
        .ok_or_else(|| "expected a number of bytes, such as 500MiB or 2GiB".to_owned())
}

/// Rows and columns of an image, `28x28`.
pub fn size(text: &str) -> Result<(usize, usize), String> {
    let sides = text.split_once('x').map(|(rows, cols)| (rows.parse(), cols.parse()));
    match sides {
        Some((Ok(rows @ 1..=65_535), Ok(cols @ 1..=65_535))) => Ok((rows, cols)),
        _ => Err("expected rows x columns of an image, such as 28x28".to_owned()),
    }
}

/// A format to write.
pub fn format(name: &str) -> Result<Format, String> {
    let names: Vec<_> = Format::ALL.into_iter().map(Format::name).collect();
    named("format", name, &names, |name| name.parse().ok())
}

/// An activation of a hidden layer.
pub fn activation(name: &str) -> Result<Activation, String> {
    let names: Vec<_> = Activation::ALL
        .into_iter()
        .filter(|&activation| activation != Activation::Softmax)
        .map(Activation::name)
        .collect();
    named("activation of a hidden layer", name, &names, Activation::from_name)
}

/// An optimizer with its defaults.
pub fn optimizer(name: &str) -> Result<Optimizer, String> {
    named("optimizer", name, &Optimizer::NAMES, Optimizer::from_name)
}

/// A loss.
pub fn loss(name: &str) -> Result<Loss, String> {
    named("loss", name, &Loss::ALL.map(Loss::name), Loss::from_name)
}

fn named<T>(
    what: &str,
    name: &str,
    names: &[&str],
    from_name: impl Fn(&str) -> Option<T>,
) -> Result<T, String> {
    let wanted = name.to_ascii_lowercase();
    match from_name(&wanted) {
        Some(value) if names.contains(&wanted.as_str()) => Ok(value),
        _ => {
            let guess = nearest(&wanted, names)
                .map_or(String::new(), |guess| format!(" (did you mean `{guess}`?)"));
            Err(format!("unknown {what}{guess}; expected {}", names.join(", ")))
        }
    }
}

/// The name that `wanted` was probably meant to be.
fn nearest<'a>(wanted: &str, names: &[&'a str]) -> Option<&'a str> {
    names
        .iter()
        // Half of a long name is enough: `crossentropy`, `squared`.
        .map(|&name| {
            let part = wanted.len() > 2 && name.contains(wanted);
            (if part { 1 } else { strsim::damerau_levenshtein(wanted, name) }, name)
        })
        .min()
        .filter(|&(distance, name)| distance <= 1 + name.len() / 3)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_layers() {
        assert_eq!(hidden("512"), Ok(Hidden(vec![512])));
        assert_eq!(hidden("256, 128"), Ok(Hidden(vec![256, 128])));
        assert_eq!(hidden("none"), Ok(Hidden(vec![])));
        assert_eq!(hidden(""), Ok(Hidden(vec![])));
        for bad in ["0", "-5", "12,", ",", "256,0", "1e3", "99999999999999999999", "x"] {
            assert!(hidden(bad).unwrap_err().contains("1 or more"), "{bad}");
        }
    }

    #[test]
    fn numbers_have_their_ranges() {
        for bad in ["0", "-1", "1.5", "", "ten", "99999999999999999999"] {
            assert!(at_least_one(bad).is_err(), "{bad}");
            assert!(threads(bad).is_err(), "{bad}");
        }
        assert!(threads("1025").is_err());
        assert_eq!(threads("1024"), Ok(1024));
        // 1e-46 is zero and 1e39 infinite as an f32.
        for bad in ["0", "-0.1", "nan", "NaN", "inf", "-inf", "1e-46", "1e39", "", "fast"] {
            assert!(learning_rate(bad).is_err(), "{bad}");
        }
        assert_eq!(learning_rate("1e-3"), Ok(1e-3));
        for bad in ["1", "1.0", "-0.1", "nan", "inf", "20%"] {
            assert!(validation_split(bad).is_err(), "{bad}");
        }
        assert_eq!(validation_split("0"), Ok(0.0));
        assert_eq!(validation_split("0.999"), Ok(0.999));
        for bad in ["1", "-0.1", "nan"] {
            assert!(momentum(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_of_memory() {
        assert_eq!(memory("4096"), Ok(4096));
        assert_eq!(memory("2GiB"), Ok(2 << 30));
        assert_eq!(memory("500 M"), Ok(500 << 20));
        assert_eq!(memory("1kb"), Ok(1024));
        for bad in ["", "GiB", "0", "-1", "1.5G", "2 gigs", "99999999999999999999", "99999999T"] {
            assert!(memory(bad).unwrap_err().contains("such as 500MiB"), "{bad}");
        }
    }

    #[test]
    fn names_and_slips() {
        assert_eq!(activation("ReLU"), Ok(Activation::Relu));
        let error = activation("rleu").unwrap_err();
        assert!(error.contains("did you mean `relu`?") && error.contains("tanh"), "{error}");
        let error = activation("softmax").unwrap_err();
        assert!(error.contains("expected linear"), "{error}");
        assert!(optimizer("adma").unwrap_err().contains("`adam`"));
        assert!(optimizer("rms-prop").unwrap_err().contains("`rmsprop`"));
        assert!(!optimizer("lbfgs").unwrap_err().contains("mean"));
        assert!(loss("crossentropy").unwrap_err().contains("`sparse_categorical_crossentropy`"));
        assert!(loss("mean_square_error").unwrap_err().contains("`mean_squared_error`"));
    }
}
