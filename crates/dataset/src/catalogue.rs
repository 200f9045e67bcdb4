//! The data sets known by name.

/// What is known of a data set before any of its files is read.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The name it is asked for by, also its folder's.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// Names of its classes, in the order of their numbers.
    pub classes: &'static [&'static str],
    /// Number of training and of test examples.
    pub examples: (usize, usize),
    /// What torchvision calls its folder.
    pub torchvision: Option<&'static str>,
    /// Sha256 of each raw IDX file (training images and labels, test images and labels), where it
    /// is known.
    pub sha256: Option<[&'static str; 4]>,
}

impl Known {
    /// Whether it is made by this program rather than collected.
    pub fn is_synthetic(&self) -> bool {
        self.name == GLYPHS
    }
}

/// The name of the built-in data set.
pub const GLYPHS: &str = "glyphs";

/// The four files of a data set, by the names they are written under: training images and labels,
/// test images and labels.
pub const FILE_NAMES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

pub(crate) const DIGITS: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// As the Keras documentation lists them.
const FASHION: &[&str] = &[
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

const KUZUSHIJI: &[&str] = &["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"];

/// Digits, capitals, and those small letters that do not look like their capitals.
const EMNIST_BALANCED: &[&str] = &[
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B", "C", "D", "E", "F", "G", "H", "I",
    "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z", "a", "b",
    "d", "e", "f", "g", "h", "n", "q", "r", "t",
];

/// The labels of EMNIST letters begin at 1.
const EMNIST_LETTERS: &[&str] = &[
    "(none)", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q",
    "r", "s", "t", "u", "v", "w", "x", "y", "z",
];

const KNOWN: &[Known] = &[
    Known {
        name: "mnist",
        about: "handwritten digits (LeCun, Cortes, Burges), CC BY-SA 3.0",
        classes: DIGITS,
        examples: (60_000, 10_000),
        torchvision: Some("MNIST"),
        sha256: Some([
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ]),
    },
    Known {
        name: "fashion-mnist",
        about: "articles of clothing (Zalando), MIT",
        classes: FASHION,
        examples: (60_000, 10_000),
        torchvision: Some("FashionMNIST"),
        sha256: Some([
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ]),
    },
    Known {
        name: "kmnist",
        about: "cursive Japanese characters (ROIS-DS CODH), CC BY-SA 4.0",
        classes: KUZUSHIJI,
        examples: (60_000, 10_000),
        torchvision: Some("KMNIST"),
        sha256: None,
    },
    Known {
        name: "emnist-balanced",
        about: "handwritten digits and letters, as many of each of 47 (NIST)",
        classes: EMNIST_BALANCED,
        examples: (112_800, 18_800),
        torchvision: None,
        sha256: None,
    },
    Known {
        name: "emnist-letters",
        about: "handwritten letters, small and capital together (NIST)",
        classes: EMNIST_LETTERS,
        examples: (124_800, 20_800),
        torchvision: None,
        sha256: None,
    },
    Known {
        name: "emnist-digits",
        about: "handwritten digits, four times as many as MNIST (NIST)",
        classes: DIGITS,
        examples: (240_000, 40_000),
        torchvision: None,
        sha256: None,
    },
    Known {
        name: "qmnist",
        about: "MNIST with all 60,000 test digits (Yadav, Bottou), BSD",
        classes: DIGITS,
        examples: (60_000, 60_000),
        torchvision: Some("QMNIST"),
        sha256: None,
    },
    Known {
        name: GLYPHS,
        about: "synthetic digits drawn by this program; needs no download",
        classes: DIGITS,
        examples: (60_000, 10_000),
        torchvision: None,
        sha256: Some([
            "3144b9c2fdd3e507f8f62f82719e4a3d0e7446f7905eb0a289f6ac91b7f9fab7",
            "b68c92c0199a5a639c8accac371d3bc22409c000364958d542809687efb42b3a",
            "a5b39409202f20a28f6fe8c4a36e9f6316c9e5cc30e8b647d7bceca9b21a06f5",
            "df25aea8b7611cf5d1e3c24870573b6a13587cb581f41dbc6a5eb6b8f4496d71",
        ]),
    },
];

/// All data sets known by name, in the order they are listed in.
pub fn known() -> &'static [Known] {
    KNOWN
}

/// The data set that `name` stands for, whatever its case, `_` for `-` allowed.
pub fn lookup(name: &str) -> Option<&'static Known> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    KNOWN.iter().find(|known| known.name == name)
}

/// The known name nearest to `name`, if any is near enough to be what was meant.
pub(crate) fn suggestion(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    KNOWN
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&name, known.name), known.name))
        .min()
        .filter(|&(distance, near)| distance <= 1 + near.len() / 3)
        .map(|(_, near)| near.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_the_spellings_people_use() {
        for (spelled, name) in
            [("mnist", "mnist"), ("MNIST", "mnist"), ("fashion_mnist", "fashion-mnist")]
        {
            assert_eq!(lookup(spelled).unwrap().name, name);
        }
        assert!(lookup("cifar10").is_none());
    }

    #[test]
    fn a_slip_is_answered_with_what_was_meant() {
        assert_eq!(suggestion("mnsit").as_deref(), Some("mnist"));
        assert_eq!(suggestion("fashoin-mnist").as_deref(), Some("fashion-mnist"));
        assert_eq!(suggestion("glyph").as_deref(), Some("glyphs"));
        assert_eq!(suggestion("imagenet-21k"), None);
    }

    #[test]
    fn class_counts_are_those_published() {
        let counts: Vec<_> = known().iter().map(|k| (k.name, k.classes.len())).collect();
        let digits = ["mnist", "fashion-mnist", "kmnist", "emnist-digits", "qmnist", "glyphs"];
        for (name, classes) in counts {
            let expected = match name {
                "emnist-balanced" => 47,
                "emnist-letters" => 27,
                _ => {
                    assert!(digits.contains(&name));
                    10
                }
            };
            assert_eq!(classes, expected, "{name}");
        }
    }
}
