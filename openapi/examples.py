"""examples.py DOCUMENT: every example in the document fits the schema beside it."""

import json
import sys

from jsonschema import Draft202012Validator, FormatChecker

document = json.load(open(sys.argv[1]))
formats = FormatChecker(["uuid", "date", "date-time", "email"])
wrong, tried = [], 0


def check(schema, example, at):
    global tried
    tried += 1
    validator = Draft202012Validator({**schema, "components": document["components"]}, format_checker=formats)
    for error in validator.iter_errors(example):
        wrong.append(f"  {at}: {error.message[:200]}")


def walk(value, at):
    if isinstance(value, list):
        for number, inner in enumerate(value):
            walk(inner, f"{at}/{number}")
    if not isinstance(value, dict):
        return
    # A parameter, a header or a body has its schema inside; a schema is its own.
    inside = isinstance(value.get("schema"), dict) and "type" not in value
    schema = value["schema"] if inside else value
    if inside or "type" in value or "$ref" in value or "oneOf" in value:
        if "example" in value:
            check(schema, value["example"], at)
        if isinstance(value.get("examples"), list):
            for example in value["examples"]:
                check(schema, example, at)
        if inside and isinstance(value.get("examples"), dict):
            for name, example in value["examples"].items():
                check(schema, example.get("value"), f"{at}/examples/{name}")
    for key, inner in value.items():
        if key not in ("example", "examples"):
            walk(inner, f"{at}/{key}")


walk(document["paths"], "#/paths")
walk(document.get("webhooks", {}), "#/webhooks")
walk(document["components"], "#/components")
print("\n".join([*wrong, f"examples: {tried}, of which {len(wrong)} break their schema"]))
sys.exit(1 if wrong or not tried else 0)
