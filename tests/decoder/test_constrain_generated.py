"""Schemas by the dozen, every limit of tokens, a writer at random: valid JSON in time, or a refusal beforehand."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from decoder.chat import Tool
from decoder.constrain import JsonConstraint, JsonGrammars
from decoder.sequence import DecoderError
from decoder.tools import call_or_text, call_schema, read_call
from tests.decoder.tiny import END, save_tokenizer

SCHEMAS, BEYOND = 24, 14  # how many, and how far the limit goes beyond the shortest answer


@pytest.fixture(scope="module")
def grammars(tmp_path_factory: pytest.TempPathFactory) -> JsonGrammars:
    tokenizer = save_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    return JsonGrammars(tokenizer, 512, frozenset({tokenizer.convert_tokens_to_ids(END)}))


def schema(rng: random.Random, depth: int = 0) -> dict[str, Any]:
    """A schema of a few of the things that clients send."""
    kinds = ["string", "integer", "number", "boolean", "null", "enum", "pattern", "bounded"]
    kinds += ["object", "array", "union", "tree"] * (2 if depth < 3 else 0)
    kind = rng.choice(kinds[-8:] if depth == 0 else kinds)
    if kind == "object":
        names = rng.sample(["name", "total", "items", "paid", "ünï", "a b", "date"], rng.randint(1, 4))
        properties = {name: schema(rng, depth + 1) for name in names}
        required = [name for name in names if rng.random() < 0.7]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    if kind == "array":
        least = rng.randint(0, 2)
        return {"type": "array", "items": schema(rng, depth + 1), "minItems": least, "maxItems": least + 3}
    if kind == "union":
        return {"anyOf": [schema(rng, depth + 1) for _ in range(rng.randint(2, 3))]}
    if kind == "tree":
        node: dict[str, Any] = {"type": "object", "required": ["v", "next"], "additionalProperties": False}
        node["properties"] = {"v": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}]}}
        return {"$ref": "#/$defs/n", "$defs": {"n": node}} if depth == 0 else {"type": "null"}
    return {
        "enum": {"enum": rng.sample(["red", "a longer choice", 7, None, True, "é"], 3)},
        "pattern": {"type": "string", "pattern": r"^[A-Z]{2}-\d{3,5}$"},
        "bounded": {"type": "string", "minLength": 2, "maxLength": rng.randint(3, 12)},
        "integer": {"type": "integer", "minimum": 10, "maximum": 10_000},
    }.get(kind, {"type": kind})


def write(grammars: JsonGrammars, constraint: JsonConstraint, rng: np.random.Generator) -> list[int]:
    """Tokens of a writer who takes any that is allowed and never ends of its own accord."""
    tokens = constraint.forced()
    while not constraint.ended:
        allowed = constraint.allowed()
        allowed[grammars.stop] = not allowed.sum() > 1 and allowed[grammars.stop]
        token = int(rng.choice(np.flatnonzero(allowed)))
        if token == grammars.stop:
            break
        if (taken := constraint.take(token)) is None:
            break
        tokens.append(taken)
        tokens += constraint.forced()
    return tokens


@pytest.mark.parametrize("seed", range(SCHEMAS))
def test_whatever_the_schema_and_the_limit_the_json_is_whole(grammars: JsonGrammars, seed: int) -> None:
    asked = schema(random.Random(seed))
    text, rng = json.dumps(asked), np.random.default_rng(seed)
    checker = jsonschema.Draft202012Validator(asked)
    shortest = grammars.constraint(text, 10_000).shortest
    for limit in range(1, shortest):
        with pytest.raises(DecoderError, match=f"takes {shortest} tokens") as refusal:
            grammars.constraint(text, limit)
        assert refusal.value.field == "max_tokens"
    for limit in range(max(shortest, 1), shortest + BEYOND):
        tokens = write(grammars, grammars.constraint(text, limit), rng)
        assert len(tokens) <= limit
        checker.validate(json.loads(grammars.text(tokens)))


def test_calls_of_tools_follow_their_schemas(grammars: JsonGrammars) -> None:
    rng = np.random.default_rng(0)
    parameters = {
        "type": "object",
        "properties": {"at": {"$ref": "#/$defs/place"}},
        "required": ["at"],
        "$defs": {"place": {"enum": ["here", "there"]}},
        "additionalProperties": False,
    }
    tools = (Tool("look", "Look somewhere", json.dumps(parameters)), Tool("stop"))
    called = set()
    for limit in range(40, 60):
        call = read_call(grammars.text(write(grammars, grammars.constraint(call_schema(tools), limit), rng)))
        called.add(call.name)
        if call.name == "look":
            jsonschema.validate(json.loads(call.arguments), parameters)
    assert called == {"look", "stop"}
    for limit in range(40, 60):  # when it may also write text
        text = grammars.text(write(grammars, grammars.of_grammar(call_or_text(tools), limit), rng))
        assert not text.startswith("{") or read_call(text).name in called


def test_two_tools_may_name_their_definitions_alike(grammars: JsonGrammars, tmp_path: Path) -> None:
    def tool(name: str, choice: str) -> Tool:
        schema = {
            "type": "object",
            "properties": {"x": {"$ref": "#/$defs/c"}},
            "required": ["x"],
            "$defs": {"c": {"const": choice}},
        }
        return Tool(name, "", json.dumps({**schema, "additionalProperties": False}))

    tools = (tool("one", "first"), tool("two", "second"))
    rng, found = np.random.default_rng(3), set()
    for _ in range(12):
        call = read_call(grammars.text(write(grammars, grammars.constraint(call_schema(tools), 40), rng)))
        found.add((call.name, json.loads(call.arguments)["x"]))
    assert found == {("one", "first"), ("two", "second")}
