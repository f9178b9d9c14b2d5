from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from decoder.constrain import JsonGrammars
from decoder.engine import Engine
from decoder.sequence import DecoderError, Finish, SequenceRequest, TextSegment
from tests.decoder.tiny import END, save_tokenizer

INVOICE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "company": {"type": "string"},
        "date": {"type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}$"},
        "total": {"type": "number", "minimum": 1},
        "paid": {"type": ["boolean", "null"]},
        "kind": {"enum": ["invoice", "receipt", "letter"]},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string", "minLength": 3}, "price": {"type": "number"}},
                "required": ["name", "price"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["company", "date", "total", "paid", "kind", "items"],
    "additionalProperties": False,
}
TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 3},
            },
            "required": ["value", "children"],
        }
    },
}
UNION = {
    "anyOf": [{"type": "array", "items": {"type": "string"}, "minItems": 2}, {"const": "none"}, {"type": "integer"}]
}
FREE = {"type": "object"}
SCHEMAS = {"invoice": INVOICE, "tree": TREE, "union": UNION, "free": FREE, "text": {"type": "string"}}


@pytest.fixture(scope="module")
def grammars(tmp_path_factory: pytest.TempPathFactory) -> JsonGrammars:
    tokenizer = save_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    return JsonGrammars(tokenizer, 512, frozenset({tokenizer.convert_tokens_to_ids(END)}))


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_model_that_writes_at_random_still_writes_json_in_time(grammars: JsonGrammars, name: str) -> None:
    schema = json.dumps(SCHEMAS[name])
    shortest = grammars.constraint(schema, 10_000).shortest
    rng = np.random.default_rng(0)
    for limit in [shortest, shortest, shortest + 1, *rng.integers(shortest, shortest + 60, 6)]:
        constraint = grammars.constraint(schema, int(limit))
        tokens = constraint.forced()
        while not constraint.ended:
            token = int(rng.choice(np.flatnonzero(constraint.allowed())))
            if token == grammars.stop:
                break
            if (taken := constraint.take(token)) is None:
                break
            tokens.append(taken)
            tokens += constraint.forced()
        assert len(tokens) <= limit
        value = json.loads(grammars.text(tokens))
        if name == "invoice":
            assert list(value) == INVOICE["required"] and len(value["date"]) == 10 and value["total"] >= 1
            assert all(len(item["name"]) >= 3 for item in value["items"])


@pytest.mark.parametrize("extra", [0, 5, 30])
def test_the_engine_closes_json_at_its_limit(tiny_engine: Engine, extra: int) -> None:
    prompts = [SequenceRequest((TextSegment.of([n, n + 1, n + 2]),), json.dumps(INVOICE), 4) for n in range(5, 8)]
    message = tiny_engine.generate(prompts)[0].failure
    assert message is not None and "takes" in message.message
    shortest = int(message.message.split(" takes ")[1].split()[0])
    requests = [SequenceRequest(p.segments, p.schema, shortest + extra) for p in prompts]
    generations = tiny_engine.generate(requests)
    for generation in generations:
        assert len(generation.tokens) <= shortest + extra
        assert list(json.loads(generation.text)) == INVOICE["required"]
        assert generation.finish in (Finish.STOP, Finish.LENGTH)
        assert len(generation.logprobs) == len(generation.tokens)
        assert np.isfinite(generation.logprobs).all()
    assert generations == [tiny_engine.generate([request])[0] for request in requests]


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ("[1]", "is an object"),
        ("{", "not JSON"),
        ('{"type": "string", "pattern": "["}', "cannot be enforced"),
        ('{"type": "integer", "minimum": 5, "maximum": 3}', "cannot be enforced"),
        ('{"type": "string", "minLength": 900}', "shortest answer"),
    ],
)
def test_a_schema_that_cannot_be_met_says_why(grammars: JsonGrammars, schema: str, says: str) -> None:
    with pytest.raises(DecoderError, match=says):
        grammars.constraint(schema, 40)


@pytest.mark.parametrize(
    ("schema", "more"),
    [
        ({"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}, False),
        ({"anyOf": [{"type": "object", "properties": {"total": {"type": "number"}}}]}, False),
        ({"type": "object", "properties": {"total": {"type": "number"}}, "additionalProperties": True}, True),
        ({"type": "object"}, True),
        ({"allOf": [{"type": "object", "properties": {"total": {"type": "number"}}}, {"required": ["date"]}]}, True),
        ({"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total", "date"]}, True),
        ({"properties": {"total": {"type": "number"}}, "anyOf": [{"properties": {"date": {"type": "string"}}}]}, True),
    ],
)
def test_what_a_schema_does_not_name_is_not_written(grammars: JsonGrammars, schema: Any, more: bool) -> None:
    constraint = grammars.constraint(json.dumps(schema), 64)
    wanted = left = b'{"total": 1, "'
    while left:
        able = [token for token in np.flatnonzero(constraint.allowed()) if left.startswith(grammars.bytes_of(token))]
        if not (able := [token for token in able if grammars.bytes_of(token)]):
            break
        token = max(able, key=lambda one: len(grammars.bytes_of(one)))
        assert constraint.take(int(token)) == token
        left = left[len(grammars.bytes_of(token)) :]
    assert (left == b"") is more and (more or left == wanted[11:])


def test_a_schema_with_one_answer_needs_no_choice(tiny_engine: Engine) -> None:
    request = SequenceRequest((TextSegment.of([5]),), '{"const": {"read": true}}', 40)
    generation = tiny_engine.generate([request])[0]
    assert json.loads(generation.text) == {"read": True} and generation.finish is Finish.STOP
    assert set(generation.logprobs) == {0.0}
