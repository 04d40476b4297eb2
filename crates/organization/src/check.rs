//! Checks of fields that several inputs of this crate have.

use kehu_kernel::json::Json;
use validator::ValidationError;

/// Short words, such as codes of roles and languages: at most 20, each of 1 to 64 characters, each once.
pub(crate) fn words(list: &Json<Vec<String>>) -> Result<(), ValidationError> {
    let short = list.0.len() <= 20 && list.0.iter().all(|word| (1..=64).contains(&word.chars().count()));
    if !short {
        return Err(ValidationError::new("words").with_message("At most 20 words, each of 1 to 64 characters.".into()));
    }
    let mut once_each = list.0.clone();
    once_each.sort_unstable();
    once_each.dedup();
    if once_each.len() == list.0.len() {
        Ok(())
    } else {
        Err(ValidationError::new("duplicate").with_message("Each may stand here once.".into()))
    }
}
