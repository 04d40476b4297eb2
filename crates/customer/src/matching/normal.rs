//! One spelling of texts: letters folded to plain Latin ones, Chinese to simplified characters and pinyin.

use any_ascii::any_ascii_char;
use unicode_normalization::UnicodeNormalization;

use super::legal_form;
use crate::rules::{
    reading::syllables,
    script::{is_han, simplified},
};

/// Surnames of two characters.
const COMPOUND_SURNAMES: &str = "欧阳 太史 端木 上官 司马 东方 独孤 南宫 万俟 闻人 夏侯 诸葛 尉迟 公羊 赫连 澹台 皇甫 宗政 濮阳 公冶 太叔 申屠 公孙 慕容 \
    仲孙 钟离 长孙 宇文 司徒 鲜于 司空 闾丘 子车 亓官 司寇 巫马 公西 颛孙 壤驷 公良 漆雕 乐正 宰父 谷梁 拓跋 夹谷 轩辕 令狐 段干 百里 呼延 东郭 南门 羊舌 \
    微生 公户 公玉 公仪 梁丘 公仲 公上 公门 公山 公坚 左丘 公伯 西门 公祖 第五 公乘 贯丘 公皙 南荣 东里 东宫 仲长 子书 子桑 即墨 达奚 褚师 吴铭 纳兰 归海";

/// Words before a name that are no part of it.
const TITLES: &[&str] = &[
    "mr",
    "mrs",
    "ms",
    "miss",
    "mister",
    "dr",
    "prof",
    "professor",
    "sir",
    "madam",
    "madame",
    "herr",
    "frau",
    "dipl",
    "ing",
    "mag",
    "monsieur",
    "mme",
    "mlle",
    "senor",
    "senora",
    "sr",
    "sra",
    "dott",
    "hon",
    "rev",
    "jr",
    "president",
    "prasident",
    "pan",
    "pani",
];

/// Compatibility forms folded, lower case, simplified characters.
pub(super) fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.trim().to_ascii_lowercase();
    }
    text.nfkc().flat_map(char::to_lowercase).map(simplified).collect::<String>().trim().to_owned()
}

/// The text in plain Latin letters and digits, words apart by one blank. Chinese in pinyin, one word per
/// character.
pub(super) fn latin(folded: &str) -> String {
    let mut out = String::with_capacity(folded.len());
    for c in folded.chars() {
        if c.is_ascii() {
            push(&mut out, c);
        } else if let Some(syllable) = syllables(&[c], false).into_iter().next().flatten() {
            blank(&mut out);
            out.push_str(syllable);
            blank(&mut out);
        } else if is_mark(c) {
            // Marks that stand within words.
        } else {
            any_ascii_char(c).chars().for_each(|c| push(&mut out, c.to_ascii_lowercase()));
        }
    }
    out.truncate(out.trim_end().len());
    out
}

fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\'' | '’' | '‘' | 'ʼ' | 'ʻ' | '`' | '´' | '\u{200b}'..='\u{200f}' | '\u{ad}')
}

fn push(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() {
        out.push(c.to_ascii_lowercase());
    } else if !matches!(c, '\'' | '`') {
        blank(out);
    }
}

fn blank(out: &mut String) {
    if !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
}

/// The Chinese characters of a folded text when it has no other letters, else nothing.
fn characters(folded: &str) -> String {
    let han: String = folded.chars().filter(|c| is_han(*c)).collect();
    if han.is_empty() || folded.chars().any(|c| c.is_alphabetic() && !is_han(c)) { String::new() } else { han }
}

/// How many characters of a Chinese name are the surname.
pub(super) fn surname_length(name: &str) -> usize {
    let two: String = name.chars().take(2).collect();
    let compound = name.chars().count() > 2 && COMPOUND_SURNAMES.split_whitespace().any(|surname| surname == two);
    if compound { 2 } else { 1 }
}

/// Initial letters of the pinyin of a name in Chinese characters.
pub(super) fn pinyin_initials(native: &str) -> String {
    readings(native, true).iter().filter_map(|syllable| syllable.chars().next()).collect()
}

/// A whole name: plain Latin words, and the characters if it is Chinese.
pub(super) fn whole_name(text: &str) -> (String, String) {
    let folded = folded(text);
    let native = characters(&folded);
    if native.is_empty() || folded.contains(['·', '・', '•']) || native.chars().count() > 4 {
        return (without_titles(&dotted(&folded)), native);
    }
    let readings = readings(&native, true);
    let (surname, given) = readings.split_at_checked(surname_length(&native)).unwrap_or((&readings, &[]));
    (format!("{} {}", surname.concat(), given.concat()).trim().to_owned(), native)
}

/// A given or a family name.
pub(super) fn name_part(text: &str, family: bool) -> (String, String) {
    let folded = folded(text);
    let native = characters(&folded);
    if native.is_empty() { (without_titles(&dotted(&folded)), native) } else { (readings(&native, family).concat(), native) }
}

/// The name of a company without its legal form.
pub(super) fn company_name(text: &str) -> (String, String) {
    let folded = folded(text);
    let native = legal_form::without_suffix(&characters(&folded));
    let words = if native.is_empty() { dotted(&folded.replace('&', " and ")) } else { latin(&native) };
    (legal_form::without(&words), native)
}

/// The pinyin of each character.
fn readings(native: &str, begins_with_surname: bool) -> Vec<&'static str> {
    syllables(&native.chars().collect::<Vec<_>>(), begins_with_surname).into_iter().flatten().collect()
}

/// Plain words, letters apart by dots written together: A.B.C. is abc.
fn dotted(folded: &str) -> String {
    if !folded.contains('.') {
        return latin(folded);
    }
    let words = folded.split_whitespace().map(|word| {
        let dense = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '.');
        let letters = dense.split('.').all(|part| part.chars().count() <= 1) && dense.matches('.').count() > 1;
        if letters { dense.replace('.', "") } else { word.to_owned() }
    });
    latin(&words.collect::<Vec<_>>().join(" "))
}

fn without_titles(words: &str) -> String {
    let kept: Vec<&str> = words.split(' ').filter(|word| !TITLES.contains(word)).collect();
    if kept.is_empty() { words.to_owned() } else { kept.join(" ") }
}

/// A date as eight digits, year first; also one that no calendar has.
pub(super) fn date(text: &str) -> Option<String> {
    let folded = folded(text);
    let parts: Vec<&str> = folded.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [dense] if dense.len() == 8 => Some((*dense).to_owned()),
        [dense] if dense.len() == 4 => Some(format!("{dense}0000")),
        [year, month, day, ..] if year.len() == 4 => Some(format!("{year}{month:0>2}{day:0>2}")),
        [first, second, year] if year.len() == 4 => {
            let american = first.parse::<u32>().is_ok_and(|n| n <= 12) && second.parse::<u32>().is_ok_and(|n| n > 12);
            let (month, day) = if american { (first, second) } else { (second, first) };
            Some(format!("{year}{month:0>2}{day:0>2}"))
        }
        [year, month] if year.len() == 4 => Some(format!("{year}{month:0>2}00")),
        _ => None,
    }
    .filter(|digits| digits.len() == 8)
}

/// The digits of a phone number, without the zeros that are dialled first.
pub(super) fn phone(text: &str) -> String {
    let digits: String = folded(text).chars().filter(char::is_ascii_digit).collect();
    digits.trim_start_matches('0').to_owned()
}

/// Letters and digits alone.
pub(super) fn dense(text: &str) -> String {
    latin(&folded(text)).replace(' ', "")
}

/// An e-mail address in lower case, without blanks.
pub(super) fn email(text: &str) -> String {
    folded(text)
        .chars()
        .filter(|c| !c.is_whitespace())
        .flat_map(|c| if c.is_ascii() { vec![c] } else { any_ascii_char(c).chars().collect() })
        .collect()
}
