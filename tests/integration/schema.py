"""The part of JSON Schema 2020-12 that openapi.json uses; a keyword that is not known here fails."""
import re

NOTES = {"description", "summary", "format", "contentMediaType"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int,
         "number": (int, float), "null": type(None)}


class Mismatch(Exception):
    """The value is not what the schema says."""


def resolve(contract, node):
    """What a $ref stands for."""
    while "$ref" in node:
        assert node["$ref"].startswith("#/"), node
        target = contract
        for step in node["$ref"][2:].split("/"):
            target = target[step.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


def check(contract, schema, value, where="the answer"):
    """Raises Mismatch where `value` breaks `schema`."""
    schema = resolve(contract, schema)
    for keyword, wanted in schema.items():
        if keyword in NOTES:
            continue
        RULES[keyword](contract, schema, wanted, value, where)


def need(condition, where, what):
    if not condition:
        raise Mismatch(f"{where}: {what}")


def type_rule(contract, schema, wanted, value, where):
    types = wanted if isinstance(wanted, list) else [wanted]
    good = any(isinstance(value, TYPES[name]) and not (isinstance(value, bool) and name != "boolean")
               for name in types)
    need(good, where, f"{value!r} is no {wanted}")


def properties_rule(contract, schema, wanted, value, where):
    if isinstance(value, dict):
        for key in wanted.keys() & value.keys():
            check(contract, wanted[key], value[key], f"{where}.{key}")


def additional_rule(contract, schema, wanted, value, where):
    for key in value.keys() - schema.get("properties", {}).keys() if isinstance(value, dict) else ():
        need(wanted is not False, where, f"{key} is not described")
        check(contract, wanted, value[key], f"{where}.{key}")


def items_rule(contract, schema, wanted, value, where):
    for i, item in enumerate(value if isinstance(value, list) else ()):
        check(contract, wanted, item, f"{where}[{i}]")


def one_of_rule(contract, schema, wanted, value, where):
    reasons = []
    for choice in wanted:
        try:
            check(contract, choice, value, where)
        except Mismatch as reason:
            reasons.append(str(reason))
    need(len(reasons) == len(wanted) - 1, where, f"not one of the choices: {reasons}")


def simple(test, what):
    def rule(contract, schema, wanted, value, where):
        need(test(value, wanted), where, f"{value!r} is not {what} {wanted!r}")
    return rule


def number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


RULES = {
    "type": type_rule, "properties": properties_rule, "additionalProperties": additional_rule,
    "items": items_rule, "oneOf": one_of_rule,
    "required": simple(lambda v, w: not isinstance(v, dict) or set(w) <= v.keys(), "with"),
    "const": simple(lambda v, w: v == w, "equal to"),
    "enum": simple(lambda v, w: v in w, "one of"),
    "minimum": simple(lambda v, w: not number(v) or v >= w, "at least"),
    "maximum": simple(lambda v, w: not number(v) or v <= w, "at most"),
    "minItems": simple(lambda v, w: not isinstance(v, list) or len(v) >= w, "as long as"),
    "minProperties": simple(lambda v, w: not isinstance(v, dict) or len(v) >= w, "as large as"),
    "minLength": simple(lambda v, w: not isinstance(v, str) or len(v) >= w, "as long as"),
    "pattern": simple(lambda v, w: not isinstance(v, str) or re.search(w, v), "like"),
}
