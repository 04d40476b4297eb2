//! Keyset pages with signed cursors.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

use crate::{Error, Result, crypto::Keyring};

/// How far lists are counted that have no index over all that they hold: the total of a longer one is not told.
pub const COUNTED: i64 = 10_000;

/// The most items that one page can have.
pub const MAX_LIMIT: i64 = 200;
const DEFAULT_LIMIT: i64 = 50;

/// One page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items of this page, in the order of the list.
    #[schema(max_items = 200)]
    pub items: Vec<T>,
    /// Give this as `cursor` to get the next page; null on the last one.
    #[schema(max_length = 1024)]
    pub next_cursor: Option<String>,
    /// How many items the whole list has, under the same filters and the same access; null unless
    /// `include_total=true` was asked for, and where a list says that it is counted up to a limit and has more.
    #[schema(minimum = 0)]
    pub total: Option<i64>,
}

/// What every list takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageParams {
    /// How many items the page may have, 1 to 200; 50 unless given.
    #[param(minimum = 1, maximum = 200, default = 50, example = 50)]
    pub limit: Option<i64>,
    /// `next_cursor` of the page before; only valid for the same list with the same filters.
    #[param(max_length = 1024)]
    pub cursor: Option<String>,
    /// Whether to count the whole list.
    #[param(example = false)]
    pub include_total: Option<bool>,
}

/// A page request that was checked: how many rows to read, and after which key.
#[derive(Debug)]
pub struct Window<K> {
    /// Key of the last row of the page before.
    pub after: Option<K>,
    /// Whether the caller wants the total.
    pub include_total: bool,
    limit: i64,
    list: String,
}

#[derive(Serialize, Deserialize)]
struct Cursor<K> {
    list: String,
    key: K,
}

impl PageParams {
    /// Checks the request against the list that it is for. `list` names the list and all its filters,
    /// so that a cursor of another list, or of other filters, is refused.
    ///
    /// # Errors
    /// [`Error::Invalid`] on `?limit` or `?cursor`.
    pub fn window<K: DeserializeOwned>(&self, keys: &Keyring, list: &str) -> Result<Window<K>> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Error::invalid("?limit", "out_of_range", "A page has 1 to 200 items."));
        }
        let after = match &self.cursor {
            None => None,
            Some(text) => Some(open(keys, list, text).ok_or_else(|| {
                Error::invalid("?cursor", "invalid_cursor", "This cursor does not belong to this list with these filters.")
            })?),
        };
        Ok(Window { after, limit, include_total: self.include_total.unwrap_or(false), list: list.to_owned() })
    }
}

impl<K: Serialize> Window<K> {
    /// How many rows to read: one more than the page has, to know whether another page follows.
    #[must_use]
    pub const fn fetch(&self) -> i64 {
        self.limit + 1
    }

    /// Makes the page of the rows that were read.
    ///
    /// # Errors
    /// [`Error::Internal`] when the key cannot be written as JSON.
    pub fn page<T>(&self, keys: &Keyring, mut rows: Vec<T>, total: Option<i64>, key: impl Fn(&T) -> K) -> Result<Page<T>> {
        let limit = usize::try_from(self.limit).map_err(Error::internal)?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = match rows.last() {
            Some(last) if more => Some(seal(keys, &self.list, key(last))?),
            _ => None,
        };
        Ok(Page { items: rows, next_cursor, total })
    }

    /// Makes the page of rows that were cut to size already; the next page goes on after `next`, if there is one.
    ///
    /// # Errors
    /// As [`Window::page`].
    pub fn cut<T>(&self, keys: &Keyring, rows: Vec<T>, total: Option<i64>, next: Option<K>) -> Result<Page<T>> {
        let next_cursor = next.map(|key| seal(keys, &self.list, key)).transpose()?;
        Ok(Page { items: rows, next_cursor, total })
    }
}

impl<T> Page<T> {
    /// The same page with each item turned into something else.
    pub fn map<U>(self, turn: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(turn).collect(), next_cursor: self.next_cursor, total: self.total }
    }
}

/// The first rows of a list and how many it has, for answers that show only a few: `rows` were asked for one more than is
/// shown, and only when that one came is it worth a query to count them.
///
/// # Errors
/// What `count` returns.
pub fn counted<T>(mut rows: Vec<T>, shown: i64, count: impl FnOnce() -> Result<i64>) -> Result<(Vec<T>, i64)> {
    let shown = usize::try_from(shown).map_err(Error::internal)?;
    if rows.len() <= shown {
        let all = i64::try_from(rows.len()).map_err(Error::internal)?;
        return Ok((rows, all));
    }
    rows.truncate(shown);
    Ok((rows, count()?))
}

fn seal<K: Serialize>(keys: &Keyring, list: &str, key: K) -> Result<String> {
    let content = serde_json::to_vec(&Cursor { list: fingerprint(keys, list), key }).map_err(Error::internal)?;
    Ok(BASE64.encode([&keys.sign(&content)[..], &content].concat()))
}

fn open<K: DeserializeOwned>(keys: &Keyring, list: &str, text: &str) -> Option<K> {
    let bytes = BASE64.decode(text).ok()?;
    let (signature, content) = bytes.split_at_checked(16)?;
    if !keys.verify(content, signature) {
        return None;
    }
    let cursor: Cursor<K> = serde_json::from_slice(content).ok()?;
    (cursor.list == fingerprint(keys, list)).then_some(cursor.key)
}

/// Short, and tells nobody what the filters were.
fn fingerprint(keys: &Keyring, list: &str) -> String {
    BASE64.encode(keys.sign(list.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(cursor: Option<String>) -> PageParams {
        PageParams { limit: Some(2), cursor, include_total: None }
    }

    #[test]
    fn a_cursor_fits_its_own_list_only() {
        let keys = Keyring::development().unwrap();
        let window: Window<i64> = params(None).window(&keys, "branches").unwrap();
        let page = window.page(&keys, vec![1, 2, 3], None, |n| *n).unwrap();
        assert_eq!(page.items, [1, 2]);
        let cursor = page.next_cursor.unwrap();
        assert_eq!(params(Some(cursor.clone())).window::<i64>(&keys, "branches").unwrap().after, Some(2));
        assert!(params(Some(cursor.clone())).window::<i64>(&keys, "branches?status=closed").is_err());
        let tampered = format!("{}A", cursor.get(..cursor.len() - 1).unwrap());
        assert!(params(Some(tampered)).window::<i64>(&keys, "branches").is_err());
        assert!(params(Some("%%%".into())).window::<i64>(&keys, "branches").is_err());
    }
}
