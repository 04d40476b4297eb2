//! Where a `Location` leads: to something that can be read.

use std::collections::BTreeSet;

use super::operations;

/// Every operation that makes a resource says where it is: at the path of the list, with an id. There must be a GET.
#[test]
fn every_created_resource_can_be_read_alone() {
    let all = operations();
    let readable: BTreeSet<&str> = all.iter().filter(|one| one.method == "get").map(|one| one.path.as_str()).collect();
    let mut made = 0;
    for operation in &all {
        let created = &operation.value["responses"]["201"];
        if created["headers"].get("Location").is_none() {
            continue;
        }
        made += 1;
        let single = readable.iter().any(|path| {
            let id = path.strip_prefix(&operation.path).and_then(|rest| rest.strip_prefix("/{"));
            id.is_some_and(|id| id.ends_with('}') && !id.contains('/'))
        });
        assert!(single, "{} {} makes what no GET reads alone", operation.method, operation.path);
    }
    assert!(made > 15, "{made}");
}

/// What is read alone has an `ETag`: where it is `GET …/{id}`, or can be changed.
#[test]
fn every_single_resource_has_an_etag() {
    for operation in
        operations().iter().filter(|one| one.method == "get" && one.path.starts_with("/v1") && one.path.ends_with('}'))
    {
        let answer =
            operation.value["responses"].as_object().unwrap().iter().find(|(status, _)| status.starts_with('2')).unwrap().1;
        assert!(answer["headers"].get("ETag").is_some(), "{} has no ETag", operation.path);
    }
}
