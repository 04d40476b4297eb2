//! What exports need of whoever knows all lists: to read one, to say which columns it has, and who asked.

use std::sync::Arc;

use kehu_kernel::{Actor, Conn, Page, PageParams, Result, Store, Tx};
use serde_json::{Map, Value};

use super::ExportList;

type Plain = dyn Fn(&mut Conn, &Actor, &PageParams) -> Result<Page<Value>> + Send + Sync;
type Recorded = dyn Fn(&mut Tx<'_>, &Actor, &PageParams) -> Result<Page<Value>> + Send + Sync;

/// How the pages of a list are read: by the use case of its operation, under one filter.
#[derive(Clone)]
pub enum Reading {
    /// A read.
    Plain(Arc<Plain>),
    /// A read that may show what is sensitive, and then records that.
    Recorded(Arc<Recorded>),
}

impl Reading {
    /// One page.
    ///
    /// # Errors
    /// Those of the list.
    pub fn page(&self, store: &Store, actor: &Actor, params: &PageParams) -> Result<Page<Value>> {
        match self {
            Self::Plain(read) => store.read_blocking(|conn| read(conn, actor, params)),
            Self::Recorded(read) => {
                let (read, actor, params) = (Arc::clone(read), actor.clone(), params.clone());
                store.write_blocking(move |tx| read(tx, &actor, &params))
            }
        }
    }

    /// One page, inside a transaction.
    ///
    /// # Errors
    /// Those of the list.
    pub fn page_within(&self, tx: &mut Tx<'_>, actor: &Actor, params: &PageParams) -> Result<Page<Value>> {
        match self {
            Self::Plain(read) => read(tx, actor, params),
            Self::Recorded(read) => read(tx, actor, params),
        }
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Number,
    /// True or false.
    Boolean,
    /// An instant.
    Timestamp,
    /// A calendar date.
    Date,
    /// A list, or an object without fixed fields: JSON.
    Json,
}

/// A column of an export: a field of the list's items, or of an object within them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Names of the fields that lead there.
    pub path: Vec<String>,
    /// What it holds.
    pub kind: Kind,
}

impl Column {
    /// Its name: the path with dots.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.join(".")
    }

    /// Its value in an item; null where it is absent.
    #[must_use]
    pub fn of<'a>(&self, item: &'a Value) -> &'a Value {
        self.path.iter().fold(item, |value, field| value.get(field).unwrap_or(&Value::Null))
    }
}

/// A list under a filter.
#[derive(Clone)]
pub struct Opened {
    /// How it is read.
    pub reading: Reading,
    /// The columns of its items, in the order of the published schema.
    pub columns: Vec<Column>,
}

/// Who knows all lists.
#[derive(Clone, Copy)]
pub struct Source {
    /// Opens a list under a filter: ids of its path and parameters of its query, or the body of a search.
    pub open: fn(ExportList, &Map<String, Value>) -> Result<Opened>,
    /// The one who asked, as they are now; `None` for somebody who may not come in any more.
    pub actor: fn(&mut Conn, &Value) -> Result<Option<Actor>>,
}
