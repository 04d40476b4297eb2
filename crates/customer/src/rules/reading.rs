//! Readings of Chinese characters in pinyin without tones. Some characters are read otherwise as surnames.

use pinyin::ToPinyin;

use super::script::simplified;

/// Surnames of two characters that are read otherwise than their characters, or whose first would be taken for
/// a surname of one.
const COMPOUND: &[(&str, [&str; 2])] = &[
    ("尉迟", ["yu", "chi"]),
    ("长孙", ["zhang", "sun"]),
    ("单于", ["chan", "yu"]),
    ("万俟", ["mo", "qi"]),
    ("澹台", ["tan", "tai"]),
    ("宰父", ["zai", "fu"]),
    ("皇甫", ["huang", "fu"]),
    ("令狐", ["ling", "hu"]),
    ("鲜于", ["xian", "yu"]),
    ("呼延", ["hu", "yan"]),
    ("赫连", ["he", "lian"]),
    ("乐正", ["yue", "zheng"]),
    ("夏侯", ["xia", "hou"]),
    ("百里", ["bai", "li"]),
    ("濮阳", ["pu", "yang"]),
    ("子车", ["zi", "ju"]),
];

/// Surnames of one character whose reading differs from the character's most common one.
const SINGLE: &[(char, &str)] = &[
    ('单', "shan"),
    ('曾', "zeng"),
    ('仇', "qiu"),
    ('解', "xie"),
    ('查', "zha"),
    ('区', "ou"),
    ('盖', "ge"),
    ('朴', "piao"),
    ('秘', "bi"),
    ('翟', "zhai"),
    ('员', "yun"),
    ('缪', "miao"),
    ('覃', "qin"),
    ('乐', "yue"),
    ('种', "chong"),
    ('黑', "he"),
    ('折', "she"),
    ('召', "shao"),
    ('洗', "xian"),
    ('繁', "po"),
    ('祭', "zhai"),
    ('隗', "wei"),
    ('郇', "xun"),
    ('能', "nai"),
    ('卜', "bu"),
    ('薄', "bo"),
    ('长', "chang"),
    ('牟', "mu"),
    ('句', "gou"),
    ('阚', "kan"),
    ('都', "du"),
    ('藏', "zang"),
    ('重', "chong"),
];

/// The reading of each character of a name, `None` for what is no Chinese character. With `person`, the name
/// begins with a surname.
#[must_use]
pub fn syllables(name: &[char], person: bool) -> Vec<Option<&'static str>> {
    let simple: Vec<char> = name.iter().copied().map(simplified).collect();
    let mut read: Vec<Option<&'static str>> = simple.iter().map(|c| c.to_pinyin().map(plain)).collect();
    if person {
        for (place, reading) in surname(&simple).into_iter().enumerate() {
            if let Some(slot) = read.get_mut(place) {
                *slot = Some(reading);
            }
        }
    }
    read
}

fn surname(name: &[char]) -> Vec<&'static str> {
    let compound = COMPOUND.iter().find(|(surname, _)| name.len() > 2 && surname.chars().eq(name.iter().copied().take(2)));
    if let Some((_, readings)) = compound {
        return readings.to_vec();
    }
    let first = name.first();
    SINGLE.iter().find(|(surname, _)| Some(surname) == first).map(|(_, reading)| *reading).into_iter().collect()
}

/// A syllable in the 26 letters: `ü` as `u`, as passports and keyboards without it have it in searches.
fn plain(reading: pinyin::Pinyin) -> &'static str {
    match reading.plain() {
        "lü" => "lu",
        "nü" => "nu",
        "lüe" => "lue",
        "nüe" => "nue",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, person: bool) -> String {
        let letters: Vec<char> = name.chars().collect();
        syllables(&letters, person).into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn surnames_are_read_as_surnames() {
        for (name, reading) in [
            ("单伟", "shan wei"),
            ("曾敏", "zeng min"),
            ("仇英", "qiu ying"),
            ("解放军", "xie fang jun"),
            ("查良镛", "zha liang yong"),
            ("尉迟恭", "yu chi gong"),
            ("長孫無忌", "zhang sun wu ji"),
            ("长孙", "chang sun"),
            ("欧阳娜", "ou yang na"),
            ("张伟", "zhang wei"),
            ("吕绿", "lu lu"),
            ("朴敏", "piao min"),
        ] {
            assert_eq!(read(name, true), reading, "{name}");
        }
        assert_eq!(read("解放日报社", false), "jie fang ri bao she");
    }

    #[test]
    fn the_table_says_only_what_the_library_does_not() {
        let idle: String = SINGLE
            .iter()
            .filter(|(surname, reading)| surname.to_pinyin().map(plain) == Some(*reading))
            .map(|(c, _)| *c)
            .collect();
        assert_eq!(idle, "");
        assert!(SINGLE.iter().all(|(surname, _)| simplified(*surname) == *surname));
    }
}
