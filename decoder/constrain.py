"""JSON that always follows its schema, however few tokens there are for it.

llguidance says which tokens may come next. What it does not do is end in time: at a token limit a generation would
stop in the middle of a string. So a constraint keeps a plan, the shortest way found to end the JSON from where it
stands, and a token that leaves no way to end within the limit is not taken: the plan's next token is.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray

from decoder.sequence import DecoderError

_REMEMBERED = 128
_LOOKS = 400  # states that one search for an ending may look at
_ENDINGS = (
    ['"', "}", "]", '"}', '"]', "]}", "}}", "}]", '"}}', '"}]', '"]}', "{}", "[]", '""', '",', ",", ", ", '", "']
    + list("0123456789")
    + ["null", "true", "false", "n", "t", "f", ":", " ", "{", "[", "-", "."]
)
_LAYOUT = {"whitespace_flexible": False, "key_separator": ": ", "item_separator": ", "}


class JsonGrammars:
    """Compiles schemas for one tokenizer and remembers them."""

    def __init__(self, tokenizer: Any, vocabulary: int, stop_tokens: frozenset[int]) -> None:
        backend = tokenizer.backend_tokenizer.to_str()
        self.stop = min(stop_tokens)
        self._tokenizer = LLTokenizer(backend, n_vocab=vocabulary, eos_token=sorted(stop_tokens))
        self.vocabulary = vocabulary
        self._compiled: OrderedDict[str, JsonConstraint] = OrderedDict()
        self._lock = threading.Lock()  # of what is compiled
        self._compiling = threading.Lock()  # schemas are compiled by those who ask, each in a thread of its own
        tokens = {text: tokenizer.encode(text, add_special_tokens=False) for text in _ENDINGS}
        self.endings = [ids[0] for ids in tokens.values() if len(ids) == 1]
        self.quotes = [ids[0] for text, ids in tokens.items() if len(ids) == 1 and text.startswith('"')]
        spelled = [self._tokenizer.decode_bytes([token]) for token in range(vocabulary)]
        lengths = np.array([len(token) for token in spelled], np.int32)
        self._opens = {token for token, text in enumerate(spelled) if text.strip() and text.strip()[-1:] in b"[{"}
        self._by_length = np.argsort(lengths, kind="stable")

    def constraint(self, schema: str, limit: int) -> JsonConstraint:
        """A fresh constraint of at most ``limit`` tokens, the end token not counted.

        Raises `DecoderError` for what is no schema, for one that the library does not support, and for one whose
        shortest answer takes more tokens than the limit.
        """
        return self._constraint(schema, lambda: _grammar(schema), limit, "JSON schema")

    def of_grammar(self, grammar: str, limit: int) -> JsonConstraint:
        """The same for a grammar of llguidance."""
        return self._constraint(grammar, lambda: grammar, limit, "grammar")

    def _constraint(self, name: str, grammar: Callable[[], str], limit: int, what: str) -> JsonConstraint:
        with self._lock:
            known = name in self._compiled
        if not known:
            self._compile(name, grammar, limit, what)
        with self._lock:
            pristine = self._compiled[name]
            self._compiled.move_to_end(name)
            if pristine.shortest > limit:
                raise DecoderError(
                    f"the shortest answer that follows the {what} takes {pristine.shortest} tokens, "
                    f"the limit is {limit}: raise it or ask for less",
                    "max_tokens",
                )
            return pristine.copy(limit)

    def _compile(self, name: str, grammar: Callable[[], str], limit: int, what: str) -> None:
        """One at a time, and without the lock: who asks for a known schema, perhaps in an event loop, does not wait."""
        with self._compiling:
            if name in self._compiled:
                return
            matcher = LLMatcher(self._tokenizer, grammar())
            if matcher.is_error():
                raise DecoderError(f"the {what} cannot be enforced: {_first_line(matcher.get_error())}", "schema")
            found = (self.shortest_ending(matcher, 1 << 20, opening=opening) for opening in ("last", "as it comes"))
            plan = min((plan for plan in found if plan is not None), key=len, default=None)
            if plan is None:
                raise DecoderError(f"the {what} allows no answer that could be found", "schema")
            with self._lock:
                self._compiled[name] = JsonConstraint(self, matcher, plan, limit)
                while len(self._compiled) > _REMEMBERED:
                    self._compiled.popitem(last=False)

    def text(self, tokens: list[int]) -> str:
        """What tokens spell."""
        spelled: str = self._tokenizer.decode_str(tokens)
        return spelled

    def bytes_of(self, token: int) -> bytes:
        """What one token spells."""
        spelled: bytes = self._tokenizer.decode_bytes([token])
        return spelled

    def allowed(self, matcher: LLMatcher) -> NDArray[np.bool_]:
        """Which tokens [vocabulary] may come next."""
        return np.unpackbits(allowed_bits(matcher), bitorder="little")[: self.vocabulary].astype(bool)

    def shortest_ending(
        self, matcher: LLMatcher, limit: int, enough: int = 0, opening: Literal["last", "as it comes"] = "last"
    ) -> list[int] | None:
        """The shortest way found to end from here in at most ``limit`` tokens, end token not counted; or the first that
        takes no more than ``enough``.

        Depth first with a bound on the states looked at: closing tokens first, then the longest and the shortest that
        are allowed. Those that open a bracket come last, or a list of lists would go on for ever; some other schemas
        go on for ever that way. Not always the very shortest, always a right one.
        """
        best: list[int] | None = None
        looks = _LOOKS
        stack: list[tuple[LLMatcher, list[int]]] = [(matcher.deep_copy(), [])]
        while stack and looks:
            looks -= 1
            state, path = stack.pop()
            if forced := state.compute_ff_tokens():
                if not state.consume_tokens(forced):
                    continue
                path = path + list(forced)
            if len(path) > limit or (best is not None and len(path) >= len(best)):
                continue
            if state.is_accepting():
                best = path
                if len(path) <= enough:
                    break
                continue
            candidates = self._candidates(state)
            if opening == "last":
                candidates.sort(key=lambda token: token in self._opens)
            for token in reversed(candidates):
                after = state.deep_copy()
                if after.consume_token(token):
                    stack.append((after, [*path, token]))
        return best

    def _candidates(self, state: LLMatcher) -> list[int]:
        """A few of the tokens that are allowed, the most promising first."""
        allowed = self.allowed(state)
        allowed[self.stop] = False
        others = np.flatnonzero(allowed)
        if not len(others):
            return []
        # Inside a string nearly every token is allowed and brackets close nothing: quote, or make way fast.
        endings = self.quotes if len(others) > self.vocabulary // 4 else self.endings
        closing = [token for token in endings if allowed[token]][:4]
        by_length = self._by_length[allowed[self._by_length]]
        picked = [int(by_length[i]) for i in (-1, len(by_length) // 2, 0)]
        return list(dict.fromkeys(closing + picked))


class JsonConstraint:
    """What one sequence may still write."""

    def __init__(self, grammars: JsonGrammars, matcher: LLMatcher, plan: list[int], limit: int) -> None:
        self._grammars = grammars
        self._matcher = matcher
        self._plan = plan  # an ending from here, end token not included
        self._left = limit
        self.closed_early = False

    @property
    def shortest(self) -> int:
        """Tokens of the shortest ending known."""
        return len(self._plan)

    def copy(self, limit: int) -> JsonConstraint:
        """The same state with its own limit."""
        return JsonConstraint(self._grammars, self._matcher.deep_copy(), list(self._plan), limit)

    def allowed(self) -> NDArray[np.bool_]:
        """Which tokens [vocabulary] may come next; the end token among them once the JSON may end."""
        return self._grammars.allowed(self._matcher)

    def allowed_bits(self) -> NDArray[np.uint8]:
        """`allowed` as `scores.AllowedBits`."""
        return allowed_bits(self._matcher)

    @property
    def ended(self) -> bool:
        """Whether nothing but the end may follow."""
        return bool(self._matcher.is_stopped()) or (self._left <= 0 and bool(self._matcher.is_accepting()))

    @property
    def cut(self) -> bool:
        """Whether the limit, and not the decoder, ended the JSON or shaped its end."""
        return self.closed_early or not self._matcher.is_stopped()

    def take(self, token: int) -> int | None:
        """Take the token, or the plan's next one when there would be no way to end in time; returns which. None: what
        stands is whole, and the token would have left no way to end again."""
        after = self._matcher.deep_copy()
        if not after.consume_token(token):
            raise DecoderError(f"token {token} does not follow the JSON schema: {_first_line(after.get_error())}")
        plan = self._plan_after(token, after)
        if plan is None and not self._plan:
            self.closed_early, self._left = True, 0
            return None
        if plan is None:
            token, plan = self._plan[0], self._plan[1:]
            self.closed_early = True
            self._matcher.consume_token(token)
        else:
            self._matcher = after
        self._plan = plan
        self._left -= 1
        return token

    def forced(self) -> list[int]:
        """Tokens that follow without a choice; they are taken."""
        tokens = [int(token) for token in self._matcher.compute_ff_tokens()]
        tokens = tokens[: self._left]
        for token in tokens:
            self.take(token)
        return tokens

    def _plan_after(self, token: int, after: LLMatcher) -> list[int] | None:
        left = self._left - 1
        if self._plan and token == self._plan[0]:
            return self._plan[1:]
        still = [*self._plan, self._grammars.stop]
        if len(self._plan) <= left and after.validate_tokens(still) == len(still):
            return self._plan
        return self._grammars.shortest_ending(after, left, enough=left // 2)


def allowed_bits(matcher: LLMatcher) -> NDArray[np.uint8]:
    """Which tokens may come next, as `scores.AllowedBits`."""
    return np.frombuffer(matcher.compute_bitmask(), np.uint8)


def _grammar(schema: str) -> str:
    try:
        parsed = json.loads(schema)
    except json.JSONDecodeError as error:
        raise DecoderError(f"the JSON schema is not JSON: {error}", "schema") from error
    if not isinstance(parsed, dict | bool):
        raise DecoderError("a JSON schema is an object", "schema")
    closed = parsed if _combines(parsed) else _closed(parsed)
    try:
        grammar: str = LLMatcher.grammar_from_json_schema(
            json.dumps(closed) if isinstance(parsed, dict) else "{}", overrides=_LAYOUT
        )
    except ValueError as error:
        raise DecoderError(f"the JSON schema cannot be enforced: {error}", "schema") from error
    return grammar


_BESIDE = ("anyOf", "oneOf", "not", "if", "$ref")
_OPEN = (*_BESIDE, "patternProperties", "unevaluatedProperties", "propertyNames", "minProperties")


def _combines(schema: Any) -> bool:
    """Whether an object is put together of several schemas: closed, the parts would exclude each other."""
    if isinstance(schema, list):
        return any(map(_combines, schema))
    if not isinstance(schema, dict):
        return False
    several = "allOf" in schema or ("properties" in schema and any(name in schema for name in _BESIDE))
    return several or any(map(_combines, schema.values()))


def _closed(schema: Any) -> Any:
    """A schema whose objects have the properties that are named and no others, unless it says otherwise. Nobody who
    names what is wanted wants more, and a decoder that writes 1,080.60 as a number goes on after the comma with a
    name."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {"items", "prefixItems", "anyOf", "oneOf"}
    found = {
        name: {key: _closed(one) for key, one in value.items()}
        if name in ("properties", "$defs", "definitions") and isinstance(value, dict)
        else _closed(value)
        if name in parts
        else value
        for name, value in schema.items()
    }
    named, required = schema.get("properties"), schema.get("required", [])
    if not isinstance(named, dict) or not isinstance(required, list) or any(name in schema for name in _OPEN):
        return found
    if all(isinstance(name, str) and name in named for name in required):
        found.setdefault("additionalProperties", False)
    return found


def _first_line(message: str) -> str:
    return message.strip().splitlines()[0] if message.strip() else "no reason given"
