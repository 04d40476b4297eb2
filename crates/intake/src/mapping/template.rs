//! Texts with columns in them: `loan-{loan_id}`.

use serde::Deserialize;

/// A text in which `{column}` stands for a column's value; `{{` and `}}` are braces.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Column(String),
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '{' | '}' if chars.next_if_eq(&c).is_some() => literal.push(c),
                '{' => {
                    let mut column = String::new();
                    loop {
                        match chars.next() {
                            Some('}') if !column.is_empty() => break,
                            Some(c) if c != '}' => column.push(c),
                            _ => return Err(format!("{text:?}: expected a column's name in braces")),
                        }
                    }
                    pieces.push(Piece::Text(std::mem::take(&mut literal)));
                    pieces.push(Piece::Column(column));
                }
                '}' => return Err(format!("{text:?}: a single closing brace")),
                other => literal.push(other),
            }
        }
        pieces.push(Piece::Text(literal));
        Ok(Self(pieces))
    }
}

impl Template {
    /// The columns that it names.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Column(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The text, with the columns' values; `None` when one of them is null.
    pub fn fill(&self, mut value: impl FnMut(&str) -> Option<String>) -> Option<String> {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Column(name) => filled.push_str(&value(name)?),
            }
        }
        Some(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_filled_in() {
        let template = Template::try_from("{{loan}}-{loan_id}/{x}".to_owned()).unwrap();
        assert_eq!(template.columns().collect::<Vec<_>>(), ["loan_id", "x"]);
        assert_eq!(template.fill(|name| Some(name.to_uppercase())).unwrap(), "{loan}-LOAN_ID/X");
        assert_eq!(template.fill(|name| (name == "x").then(String::new)), None);
        for wrong in ["a}", "{", "{}", "{x", "}}{x"] {
            assert!(Template::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
