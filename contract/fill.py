"""fill.py URL TOKEN OFFICER: a few records of each kind that a demonstration bank has none of, made through the API.

A fuzzer that finds no record of a kind sees nothing but 404 of its operations. OFFICER is a token of a privacy officer.
"""

import json
import sys
import time
import urllib.error
import urllib.request

URL, TOKEN, OFFICER = sys.argv[1:4]
EACH = 6


def call(method, path, body=None, kind="application/json", token=TOKEN, **headers):
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers |= {"Authorization": f"Bearer {token}", "X-Purpose": "contract", "Content-Type": kind}
    request = urllib.request.Request(URL + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        sys.exit(f"{method} {path}: {refused.code} {refused.read().decode()}")


def post(path, body=None, **headers):
    return call("POST", path, body, **headers)


def some(path, count=40):
    return call("GET", f"{path}?limit={count}")["items"]


def form(fields, name, content):
    bound = "kehu-contract"
    parts = [f'--{bound}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in fields.items()]
    head = f'--{bound}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\nContent-Type: text/csv\r\n\r\n'
    return "".join([*parts, head, content, f"\r\n--{bound}--\r\n"]).encode(), f"multipart/form-data; boundary={bound}"


customers = [row for row in some("/v1/customers", 100) if row["status"] == "active"]
people = [row for row in customers if row["kind"] == "personal"]
firms = [row for row in customers if row["kind"] != "personal"]
staff = [row["id"] for row in some("/v1/staff")]

tags = []
domain = some("/v1/tag-domains", 1)[0]["id"]
for n in range(EACH):
    post("/v1/attribute-definitions", {"code": f"contract_{n}", "name": f"Contract {n}", "customer_kinds": ["personal"], "value_type": "text"})
    post("/v1/clients", {"name": f"Contract {n}", "prefix": f"contract{n}", "roles": ["auditor"], "scopes": ["customer.read"]})
    post("/v1/teams", {"code": f"CONTRACT-{n}", "name": f"Contract {n}", "members": [{"staff_id": staff[n], "role": "member"}]})
    tags.append(post("/v1/tags", {"tag_domain_id": domain, "code": f"contract_{n}", "name": f"Contract {n}", "value_type": "flag"})["code"])
    post("/v1/webhook-endpoints", {"name": f"Contract {n}", "url": f"https://hooks{n}.example/kehu", "types": ["customer.*"]})
    post("/v1/exports", {"list": "list_branches", "format": "csv", "purpose": "contract"})

persons = [post("/v1/contact-persons", {"name": f"Contract {n}"})["id"] for n in range(2 * EACH)]
for n, person in enumerate(persons):
    path = f"/v1/contact-persons/{person}"
    post(f"{path}/employments", {"customer_id": firms[n % len(firms)]["id"], "position": "Treasurer"})
    post(f"{path}/relations", {"related_contact_person_id": persons[n - 1], "type": "influenced"})

for n, person in enumerate(people[: 2 * EACH]):
    path = f"/v1/customers/{person['id']}"
    post("/v1/assignments", {"customer_id": person["id"], "staff_id": staff[n % len(staff)], "role": "deputy"})
    post(f"{path}/consents", {"purpose": "marketing", "channel": "email", "state": "granted"})
    post(f"{path}/relations", {"related_customer_id": people[n + 2 * EACH]["id"], "type": "other"})
    post(f"{path}/tags", {"tag": tags[n % EACH]})
    post(f"{path}/legal-holds", {"reason": "contract"})
    post(f"{path}/privacy/export", token=OFFICER)

# Pairs that are surely one person, half of them merged.
for n in range(2 * EACH):
    named = {"full_name": f"Contract Twin {n}", "birth_date": f"1980-01-{n + 1:02}"}
    twin = {"kind": "personal", "personal": named, "allow_duplicate": {"reason": "contract"}}
    one, other = (post("/v1/customers", twin, Idempotency_Key=f"twin-{n}-{side}") for side in "ab")
    if n % 2:
        body = {"absorbed": [{"customer_id": other["id"], "version": other["version"]}], "reason": "contract"}
        post(f"/v1/customers/{one['id']}/merge", body, If_Match=f'"{one["version"]}"')
post("/v1/match-runs", {})

fields = {"source_id": "id", "kind": {"constant": "personal"}, "full_name": "name"}
document = {"version": 1, "files": [{"pattern": "*.csv", "feeds": [{"feed": "customers", "fields": fields}]}]}
post("/v1/source-systems", {"code": "contract", "name": "Contract"})
for n in range(EACH):
    mapping = post("/v1/mappings", {"code": f"contract-{n}", "name": "Contract", "document": document})
    body, kind = form({"source_system": "contract", "mapping_id": mapping["id"]}, "customers.csv", f"id,name\n{n},Contract {n}\n,\n")
    post("/v1/imports", body, kind=kind)
# Jobs take a moment.
time.sleep(3)
