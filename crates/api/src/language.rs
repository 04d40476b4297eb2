//! In which language problems are told: English, in which the sources are written, or Simplified Chinese by the catalogue
//! `locales/zh_CN.po`. The English text is the key of its translation; where something is filled in, the catalogue has `{1}`,
//! `{2}` … in its place, and finds by the text around them what was filled in. So crates that know no language need no change,
//! and a text that the catalogue lacks fails the tests.

use std::{collections::HashMap, sync::LazyLock};

use actix_web::{
    HttpMessage,
    http::header::{AcceptLanguage, Header, Preference, Quality},
};

const CATALOGUE: &str = include_str!("../locales/zh_CN.po");

/// What is filled in may be a sentence of ours, too; not deeper than this.
const DEEPEST: u8 = 3;

/// A language that problems are told in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English; also for who wants neither.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// The language that a request wants most (`Accept-Language`, RFC 9110); of two wanted alike the first.
    #[must_use]
    pub fn of(message: &impl HttpMessage) -> Self {
        let Ok(AcceptLanguage(wanted)) = AcceptLanguage::parse(message) else { return Self::English };
        let mut best = (Quality::ZERO, Self::English);
        for item in wanted {
            let language = match &item.item {
                Preference::Any => Self::English,
                Preference::Specific(tag) => match tag.primary_language().to_ascii_lowercase().as_str() {
                    "zh" => Self::Chinese,
                    "en" => Self::English,
                    _ => continue,
                },
            };
            if item.quality > best.0 {
                best = (item.quality, language);
            }
        }
        best.1
    }

    /// Its tag, for `Content-Language`.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    /// An English text in this language; as it is where there is no translation.
    #[must_use]
    pub fn say(self, text: &str) -> String {
        match self {
            Self::English => text.to_owned(),
            Self::Chinese => chinese(text).unwrap_or_else(|| text.to_owned()),
        }
    }
}

/// The Chinese of an English text.
#[must_use]
pub fn chinese(text: &str) -> Option<String> {
    static LOADED: LazyLock<Catalogue> = LazyLock::new(Catalogue::load);
    LOADED.translate(text, 0)
}

/// A text into which something is filled.
struct Template {
    /// What stands around what is filled in: before, between, after.
    fixed: Vec<String>,
    says: String,
}

#[derive(Default)]
struct Catalogue {
    whole: HashMap<String, String>,
    templates: Vec<Template>,
}

impl Catalogue {
    fn load() -> Self {
        let Ok(file) = polib::po_file::parse_from_reader(CATALOGUE.as_bytes()) else { return Self::default() };
        let mut catalogue = Self::default();
        for message in file.messages() {
            let Ok(says) = message.msgstr() else { continue };
            let fixed = around(message.msgid());
            if fixed.len() == 1 {
                catalogue.whole.insert(message.msgid().to_owned(), says.to_owned());
            } else {
                catalogue.templates.push(Template { fixed, says: says.to_owned() });
            }
        }
        // What says more by itself fits before what fits almost everything.
        catalogue.templates.sort_by_key(|template| std::cmp::Reverse(template.fixed.iter().map(String::len).sum::<usize>()));
        catalogue
    }

    fn translate(&self, text: &str, depth: u8) -> Option<String> {
        if let Some(says) = self.whole.get(text) {
            return Some(says.clone());
        }
        if depth >= DEEPEST {
            return None;
        }
        self.templates.iter().find_map(|template| {
            let filled = template.filled(text)?;
            let filled: Vec<String> =
                filled.into_iter().map(|part| self.translate(part, depth + 1).unwrap_or_else(|| part.to_owned())).collect();
            Some(fill(&template.says, &filled))
        })
    }
}

/// What stands around `{1}`, `{2}` ….
fn around(id: &str) -> Vec<String> {
    let (mut fixed, mut rest) = (Vec::new(), id);
    for number in 1_u8.. {
        let Some((before, after)) = rest.split_once(&format!("{{{number}}}")) else { break };
        fixed.push(before.to_owned());
        rest = after;
    }
    fixed.push(rest.to_owned());
    fixed
}

impl Template {
    /// What is filled in, if this text is made of the template.
    fn filled<'t>(&self, text: &'t str) -> Option<Vec<&'t str>> {
        let (first, others) = self.fixed.split_first()?;
        let (last, between) = others.split_last()?;
        let mut rest = text.strip_prefix(first.as_str())?.strip_suffix(last.as_str())?;
        let mut parts = Vec::with_capacity(others.len());
        for fixed in between {
            let (part, after) = rest.split_once(fixed.as_str())?;
            parts.push(part);
            rest = after;
        }
        parts.push(rest);
        parts.iter().all(|part| !part.is_empty()).then_some(parts)
    }
}

/// Fills `{1}`, `{2}` … of a translation.
fn fill(says: &str, parts: &[String]) -> String {
    let (mut done, mut rest) = (String::new(), says);
    while let Some((before, after)) = rest.split_once('{') {
        done.push_str(before);
        let place = after.split_once('}').and_then(|(number, tail)| {
            let part = parts.get(number.parse::<usize>().ok()?.checked_sub(1)?)?;
            Some((part, tail))
        });
        match place {
            Some((part, tail)) => {
                done.push_str(part);
                rest = tail;
            }
            None => {
                done.push('{');
                rest = after;
            }
        }
    }
    done + rest
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_wanted_language_is_chosen_by_quality() {
        use Language::{Chinese, English};
        for (header, language) in [
            ("", English),
            ("zh-CN", Chinese),
            ("zh", Chinese),
            ("ZH-hans-CN", Chinese),
            ("en", English),
            ("zh-CN,zh;q=0.9,en;q=0.8", Chinese),
            ("en;q=0.8, zh-CN;q=0.9", Chinese),
            ("en;q=0.9, zh-CN;q=0.8", English),
            ("fr, zh;q=0.2", Chinese),
            ("fr, de", English),
            ("*", English),
            ("*;q=0.1, zh;q=0.5", Chinese),
            ("zh;q=0", English),
            ("zh;q=0, en;q=0.1", English),
            ("zh;q=nonsense", English),
            (";;;,,,", English),
        ] {
            let request = TestRequest::default().insert_header(("accept-language", header)).to_request();
            assert_eq!(Language::of(&request), language, "{header}");
        }
        assert_eq!(Language::of(&TestRequest::default().to_request()), English);
    }

    #[test]
    fn what_is_filled_in_is_found_again() {
        for (text, says) in [
            ("Not found", "未找到"),
            ("The length must be 1 to 20.", "长度须为 1 至 20。"),
            ("At most 5 requests in 60 seconds.", "60 秒内最多 5 次请求。"),
            ("unknown field `x`, expected one of `a`, `b`", "未知字段“x”，应为下列之一：`a`, `b`"),
            ("invalid type: string \"7\", expected a boolean", "类型不符：收到 字符串 \"7\"，应为 布尔值"),
            ("This needs a role that grants customer.read.", "此操作需要具有 customer.read 权限的角色。"),
            ("This needs a role that grants client.manage with depth all.", "此操作需要具有全行范围 client.manage 权限的角色。"),
        ] {
            assert_eq!(chinese(text).as_deref(), Some(says), "{text}");
        }
        assert_eq!(chinese("Something else altogether"), None);
        assert_eq!(fill("{2}{1}{3}{", &["{2}".into(), "b".into()]), "b{2}{3}{");
    }

    #[test]
    fn the_catalogue_is_sound() {
        let file = polib::po_file::parse_from_reader(CATALOGUE.as_bytes()).unwrap();
        assert!(file.count() > 400);
        let catalogue = Catalogue::load();
        for message in file.messages() {
            let (id, says) = (message.msgid(), message.msgstr().unwrap());
            assert!(!says.is_empty() && says != id, "{id} is not translated");
            let fixed = around(id);
            let filled: Vec<String> = (1..fixed.len()).map(|number| format!("X{number}")).collect();
            for number in 1..fixed.len() {
                assert!(says.contains(&format!("{{{number}}}")) || id.starts_with("struct"), "{id} loses {{{number}}}");
            }
            // Another template that fits as well would be taken for this one.
            let text = fill(id, &filled);
            assert_eq!(catalogue.translate(&text, 0).as_deref(), Some(fill(says, &filled).as_str()), "{id}");
        }
    }
}
