//! Words of company names that tell the legal form and not the company.

/// Legal forms in plain Latin letters, the longest first where one begins another.
const FORMS: &str = include_str!("legal_forms.txt");

/// Chinese legal forms, the longest first.
const SUFFIXES: &[&str] = &[
    "集团股份有限责任公司",
    "集团股份有限公司",
    "集团有限责任公司",
    "集团有限公司",
    "控股股份有限公司",
    "控股有限公司",
    "股份有限责任公司",
    "股份有限公司",
    "有限责任公司",
    "特殊普通合伙",
    "普通合伙",
    "有限合伙",
    "有限公司",
    "股份公司",
    "个人独资企业",
    "集团公司",
    "总公司",
    "分公司",
    "公司",
    "株式会社",
    "合同会社",
];

static WORDS: std::sync::LazyLock<Vec<Vec<&'static str>>> = std::sync::LazyLock::new(|| {
    let mut forms: Vec<Vec<&str>> =
        FORMS.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_whitespace().collect()).collect();
    forms.retain(|form| !form.is_empty());
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms
});

/// The words without legal forms; all of them when nothing else is there.
pub(super) fn without(words: &str) -> String {
    let mut rest: Vec<&str> = words.split(' ').filter(|word| !word.is_empty()).collect();
    for form in WORDS.iter() {
        while let Some(at) = rest.windows(form.len()).position(|window| window == form.as_slice()) {
            if rest.len() == form.len() {
                break;
            }
            rest.drain(at..at + form.len());
        }
    }
    if let [first, _, ..] = rest.as_slice()
        && *first == "the"
    {
        rest.remove(0);
    }
    rest.join(" ")
}

/// A Chinese name without its legal form.
pub(super) fn without_suffix(native: &str) -> String {
    let core = SUFFIXES.iter().find_map(|suffix| native.strip_suffix(suffix)).filter(|core| core.chars().count() > 1);
    core.unwrap_or(native).to_owned()
}
