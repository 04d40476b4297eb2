//! Names of people and firms, Chinese and Latin. The parts are common words; the whole is by chance.

use super::random::Chance;

/// Surnames from the most common down; the weights fall with the rank as in the census.
const SURNAMES: &str = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文";
const COMPOUND_SURNAMES: &[&str] = &["欧阳", "上官", "司马", "诸葛", "司徒", "夏侯"];
const FEMALE: &str = "芳娜敏静丽艳娟霞秀玲桂兰红梅燕萍雪琳倩颖洁莉婷慧晶欣怡佳悦瑶诗涵梦璐蕾薇雅彤语嫣淑贞蓉菲莹";
const MALE: &str = "伟强磊军洋勇杰涛超明刚平辉鹏华飞鑫波斌宇浩凯健俊帆帅旭宁龙博文轩志远建国海峰晨昊然子睿哲泽林东亮";
const LATIN_FAMILY: &[&str] = &[
    "Novak",
    "Müller",
    "Smith",
    "Garcia",
    "Ivanova",
    "Nguyen",
    "O'Brien",
    "Dvořák",
    "Kowalski",
    "Rossi",
    "Svensson",
    "Silva",
    "Tanaka",
    "Kim",
    "Haddad",
    "Okafor",
    "Larsen",
    "Dubois",
    "Jensen",
    "van den Berg",
];
const LATIN_FEMALE: &[&str] = &["Anna", "Maria", "Elena", "Sofia", "Emma", "Zoë", "Yuki", "Linh", "Amina", "Chloé"];
const LATIN_MALE: &[&str] = &["Jan", "David", "José", "Lars", "Ivan", "Hiroshi", "Minh", "Omar", "Seán", "Luca"];
const CITIES: &[&str] = &["上海", "北京", "杭州", "苏州", "南京", "广州", "深圳", "成都", "武汉", "西安"];
const FIRM_WORDS: &str = "华兴瑞丰泰安恒信达通远东宏盛嘉禾金源正和博雅天成鼎立";
const TRADES: &[&str] = &["贸易", "科技", "机械制造", "建筑工程", "物流", "食品", "医疗器械", "信息技术", "新能源", "纺织"];
const OFFICES: &[&str] =
    &["教育局", "卫生健康委员会", "交通运输局", "市场监督管理局", "第一中学", "人民医院", "水务局", "图书馆"];

/// A person's name.
pub(super) struct PersonName {
    pub(super) family: String,
    pub(super) given: String,
    /// As it is written in full.
    pub(super) full: String,
}

/// A person's name; `latin` for foreigners.
pub(super) fn person(chance: &mut Chance, female: bool, latin: bool) -> PersonName {
    if latin {
        let family = chance.word(LATIN_FAMILY).to_owned();
        let given = chance.word(if female { LATIN_FEMALE } else { LATIN_MALE }).to_owned();
        return PersonName { full: format!("{given} {family}"), family, given };
    }
    let family = if chance.permille(8) { chance.word(COMPOUND_SURNAMES).to_owned() } else { surname(chance) };
    let letters = if female { FEMALE } else { MALE };
    let count = if chance.permille(820) { 2 } else { 1 };
    let given: String = (0..count).map(|_| letter(chance, letters)).collect();
    PersonName { full: format!("{family}{given}"), family, given }
}

/// The square of an even chance favours the front of the list.
fn surname(chance: &mut Chance) -> String {
    let count = i64::try_from(SURNAMES.chars().count()).unwrap_or(1);
    let (a, b) = (chance.between(0, count), chance.between(0, count));
    let index = usize::try_from(a * b / count).unwrap_or(0);
    SURNAMES.chars().nth(index).map(String::from).unwrap_or_default()
}

fn letter(chance: &mut Chance, from: &str) -> char {
    let count = i64::try_from(from.chars().count()).unwrap_or(1);
    from.chars().nth(usize::try_from(chance.between(0, count)).unwrap_or(0)).unwrap_or('明')
}

/// A firm: its legal and its short name.
pub(super) fn firm(chance: &mut Chance) -> (String, String) {
    let short: String = [letter(chance, FIRM_WORDS), letter(chance, FIRM_WORDS)].into_iter().collect();
    let trade = chance.word(TRADES);
    (format!("{}{short}{trade}有限公司", chance.word(CITIES)), format!("{short}{trade}"))
}

/// A government body: its legal and its short name.
pub(super) fn office(chance: &mut Chance) -> (String, String) {
    let (city, office) = (chance.word(CITIES), chance.word(OFFICES));
    (format!("{city}市{office}"), office.to_owned())
}
