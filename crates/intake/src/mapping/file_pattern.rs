//! Names of files with wildcards: `client*.asc`.

use serde::Deserialize;

/// A file name in which `*` stands for any characters and `?` for one; upper and lower case are alike.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct FilePattern(pub String);

/// Endings that say how a file is packed, and nothing about what it is.
const PACKED: [&str; 3] = [".gz", ".zst", ".zstd"];

impl FilePattern {
    /// Whether the pattern fits the name of a file, packed or not.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let plain = PACKED.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
        let pattern: Vec<char> = self.0.to_lowercase().chars().collect();
        let fits = |name: &str| fits(&pattern, &name.chars().collect::<Vec<_>>());
        fits(plain) || fits(&name)
    }
}

/// Greedy with one point of return: no pattern takes more than name times pattern steps.
fn fits(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match (pattern.get(p), name.get(n)) {
            (Some('*'), _) => {
                star = Some((p, n));
                p += 1;
            }
            (Some(wanted), Some(found)) if *wanted == '?' || wanted == found => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_and_packed_files() {
        let pattern = |text: &str| FilePattern(text.to_owned());
        assert!(pattern("client.asc").matches("CLIENT.ASC.gz"));
        assert!(pattern("trans*.asc").matches("trans_1993-01-01_prefix.asc"));
        assert!(pattern("*_??.csv").matches("a_b_c_12.csv.zst"));
        assert!(!pattern("client.asc").matches("xclient.asc"));
        assert!(!pattern("trans*.asc").matches("trans.csv"));
        assert!(pattern("*").matches("anything"));
    }
}
