"""A chat's trace: one tree over gateway, encoder and decoder, below what the client's own header says."""

from __future__ import annotations

from typing import Any

from tests.serving.conftest import Endpoint, until
from tests.serving.site import image_part
from tests.serving.test_replicas import picture
from tests.tracing import Seen, from_file, tree


def spans_of(endpoint: Endpoint, trace: str, last: str) -> dict[str, list[Seen]]:
    """The tree, once the span that ends last is there."""
    until(30, lambda: any(span.trace == trace and span.name == last for span in from_file(endpoint.spans)))
    return tree(from_file(endpoint.spans), trace)


def test_a_chat_is_one_tree_over_all_processes(endpoint: Endpoint) -> None:
    parent, trace = "b7ad6b7169203331", "0af7651916cd43dd8448eb211c80319c"
    asked: list[Any] = [{"type": "text", "text": "What number?"}, image_part(picture(77))]
    header = {"traceparent": f"00-{trace}-{parent}-01"}
    status, _, headers = endpoint.chat(asked, max_tokens=4, headers=header)
    assert status == 200 and headers["x-interlace-trace"] == trace
    named = spans_of(endpoint, trace, "chat")
    assert {"chat", "perceive", "read", "open", "decode"} <= set(named)
    [chat], [perceive], [read], [decode] = (named[name] for name in ("chat", "perceive", "read", "decode"))
    assert (chat.parent, perceive.parent, read.parent, decode.parent) == (parent, chat.span, perceive.span, chat.span)
    assert len({span.process for span in (chat, read, decode)}) == 3


def test_a_stream_is_traced_to_its_end(endpoint: Endpoint) -> None:
    before = {span.span for span in from_file(endpoint.spans)}
    endpoint.events("count to three", max_tokens=6)
    new = until(30, lambda: [s for s in from_file(endpoint.spans) if s.name == "chat" and s.span not in before])
    assert len(new) == 1 and new[0].parent == ""
    assert set(spans_of(endpoint, new[0].trace, "decode")) == {"chat", "decode"}
