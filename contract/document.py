"""document.py URL TOKEN OUT: the server's document with ids that exist as examples.

A fuzzer that only makes ids up meets nothing but 404. Each path parameter gets the id of a record that the caller sees, found
by reading the list above it; operations take different records, so that one which ends a record does not hide it from the
others. Where an operation wants If-Match, the record's present ETag is its example.
"""

import copy
import json
import re
import sys
import urllib.error
import urllib.request

URL, TOKEN, OUT = sys.argv[1:4]
MOST = 40


def get(path):
    request = urllib.request.Request(URL + path, headers={"Authorization": f"Bearer {TOKEN}", "X-Purpose": "contract"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer), answer.headers.get("ETag")
    except urllib.error.HTTPError:
        return None, None


document = json.load(urllib.request.urlopen(URL + "/openapi.json"))
known = {}


def filled(template):
    """Every way to fill a path's parameters with records that exist, as {name: id}, or nothing."""
    names = re.findall(r"{(\w+)}", template)
    if not names:
        return [{}]
    above, last = template[: template.rindex("{")].rstrip("/"), names[-1]
    key = above + "/{" + last + "}"
    if key not in known:
        known[key] = []
        # Some records are listed only below the record that they belong to.
        lists = [path for path in document["paths"] if path.endswith(above[above.rindex("/"):]) and "get" in document["paths"][path]]
        above = above if above in lists else next(iter(lists), None)
        for ids in filled(above) if above else []:
            page, _ = get(above.format(**ids) + "?limit=40")
            items = page.get("items", []) if isinstance(page, dict) else []
            known[key] += [ids | {last: item["id"]} for item in items if isinstance(item, dict) and "id" in item][:5 if ids else MOST]
            if len(known[key]) >= MOST:
                break
    return known[key]


def resolved(parameter):
    if "$ref" not in parameter:
        return parameter
    return copy.deepcopy(document["components"]["parameters"][parameter["$ref"].rsplit("/", 1)[1]])


found, missing, number = 0, set(), 0
for path, item in document["paths"].items():
    for method, operation in item.items():
        parameters = [resolved(parameter) for parameter in operation.get("parameters", [])]
        operation["parameters"] = parameters
        if "{" not in path:
            continue
        ways = filled(path[: path.rindex("}") + 1])
        if not ways:
            missing.add(path)
            continue
        found, number = found + 1, number + 1
        ids = ways[number % len(ways)]
        for parameter in parameters:
            if parameter["in"] == "path" and parameter["name"] in ids:
                parameter["example"] = ids[parameter["name"]]
            if parameter["name"] == "If-Match":
                _, etag = get(path[: path.rindex("}") + 1].format(**ids))
                parameter["example"] = etag or parameter.get("example")

json.dump(document, open(OUT, "w"))
print(f"real ids for {found} operations, none for {len(missing)} paths" + "".join(f"\n  {path}" for path in sorted(missing)))
