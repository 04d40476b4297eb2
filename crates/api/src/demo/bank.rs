//! The bank itself: branches of five levels, staff, products.

use kehu_intake::dispatch::Feed;
use serde_json::json;

use super::Records;

/// Province, prefecture and county of each line of branches: code and name.
const LINES: &[[(&str, &str); 3]] = &[
    [("SH", "上海分行"), ("SH-C", "上海中心支行"), ("SH-PD", "浦东支行")],
    [("BJ", "北京分行"), ("BJ-C", "北京中心支行"), ("BJ-HD", "海淀支行")],
    [("ZJ", "浙江分行"), ("ZJ-HZ", "杭州支行"), ("ZJ-XH", "西湖支行")],
    [("JS", "江苏分行"), ("JS-SZ", "苏州支行"), ("JS-WZ", "吴中支行")],
    [("GD", "广东分行"), ("GD-SZ", "深圳支行"), ("GD-NS", "南山支行")],
    [("SC", "四川分行"), ("SC-CD", "成都支行"), ("SC-WH", "武侯支行")],
];

/// The branches that keep customers, from the size of the bank.
pub(super) struct Bank {
    outlets: Vec<String>,
}

impl Bank {
    /// An outlet for every 250 customers, at least two in each county, at most fifty.
    pub(super) fn of_size(customers: u64) -> Self {
        let each = (customers / 250 / u64::try_from(LINES.len()).unwrap_or(1)).clamp(2, 50);
        let of = |[.., (county, _)]: &[(&str, &str); 3]| {
            let county = (*county).to_owned();
            (1..=each).map(move |number| format!("{county}-{number:02}"))
        };
        Self { outlets: LINES.iter().flat_map(of).collect() }
    }

    /// Codes of the outlets.
    pub(super) fn outlets(&self) -> &[String] {
        &self.outlets
    }

    /// Branches, staff and products.
    pub(super) fn records(&self) -> Records {
        let mut records = Records::default();
        self.branches(&mut records);
        self.staff(&mut records);
        products(&mut records);
        records
    }

    fn branches(&self, records: &mut Records) {
        let mut branch = |code: &str, name: &str, level: &str, parent: Option<&str>| {
            records.core(Feed::Branches, json!({ "code": code, "name": name, "level": level, "parent_code": parent }));
        };
        branch("HO", "客户银行总行", "head_office", None);
        for [(province, province_name), (prefecture, prefecture_name), (county, county_name)] in LINES {
            branch(province, province_name, "province_branch", Some("HO"));
            branch(prefecture, prefecture_name, "prefecture_branch", Some(province));
            branch(county, county_name, "county_branch", Some(prefecture));
            for outlet in self.outlets.iter().filter(|outlet| outlet.starts_with(&format!("{county}-"))) {
                let number = outlet.rsplit('-').next().unwrap_or_default();
                branch(outlet, &format!("{county_name}第{number}网点"), "outlet", Some(county));
            }
        }
    }

    fn staff(&self, records: &mut Records) {
        let mut hire = |number: String, name: String, branch: &str, role: &str| {
            let capacity = (role == "relationship_manager").then_some(300);
            let record =
                json!({ "employee_no": number, "name": name, "branch_code": branch, "roles": [role], "capacity": capacity });
            records.core(Feed::Staff, record);
        };
        for (number, role) in ["administrator", "auditor", "analyst", "marketer", "call_agent", "call_agent", "knowledge_curator"]
            .iter()
            .enumerate()
        {
            hire(format!("HO{number:03}"), format!("总行{number:02}"), "HO", role);
        }
        for outlet in &self.outlets {
            let team = ["branch_manager", "teller", "teller", "relationship_manager", "relationship_manager"];
            for (number, role) in team.iter().enumerate() {
                hire(format!("{outlet}-{number}"), format!("{outlet}员工{number}"), outlet, role);
            }
        }
    }
}

fn products(records: &mut Records) {
    for (code, name, category) in [
        ("CURRENT", "活期存款", "deposit"),
        ("TERM-12", "一年定期存款", "deposit"),
        ("CORP-CURRENT", "单位活期存款", "deposit"),
        ("MORTGAGE", "个人住房贷款", "loan"),
        ("CONSUMER-LOAN", "个人消费贷款", "loan"),
        ("WORKING-CAPITAL", "流动资金贷款", "loan"),
        ("DEBIT-CARD", "借记卡", "card"),
        ("CREDIT-CARD", "信用卡", "card"),
        ("MONEY-FUND", "货币基金", "fund"),
        ("BOND-FUND", "债券基金", "fund"),
        ("WEALTH-90", "90天理财", "wealth"),
    ] {
        records.core(Feed::Products, json!({ "code": code, "name": name, "category": category, "currency": "CNY" }));
    }
}
