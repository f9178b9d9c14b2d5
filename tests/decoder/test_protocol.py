"""The chat protocol without a server: what requests mean, and what their errors name."""

from __future__ import annotations

import base64
import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoder.protocol.attachments import attachments
from decoder.protocol.conversation import conversation
from decoder.protocol.directives import directives
from decoder.protocol.errors import ChatError, from_failure
from decoder.protocol.formats import is_empty_schema
from decoder.protocol.queries import queries
from decoder.protocol.request import read_request
from decoder.protocol.response import Reply
from decoder.protocol.results import bounds, task_content, task_result
from decoder.schema_text import skeleton
from encoders.failures import Failure, FailureCategory
from encoders.results import Chunk, Detection, DocumentResult, Line, Page, Speech, SpokenWord, Word, quad

TASKS = ("ocr", "speech_to_text")


def request(**fields: Any) -> Any:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]} | fields
    return read_request(json.dumps(body).encode())


def refusal(**fields: Any) -> ChatError:
    with pytest.raises(ChatError) as caught:
        request(**fields)
    return caught.value


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"max_tokens": 1.0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_completion_tokens": 32_001}, "max_completion_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": "  "}]}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        ({"n": 2}, "n"),
        ({"stream": "yes"}, "stream"),
        ({"stop": ["a", 1]}, "stop[1]"),
        ({"top_logprobs": 3}, "top_logprobs"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": []}}},
            "response_format.json_schema.schema",
        ),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice.function.name"),
        ({"tools": [{"type": "function", "function": {"name": "two words"}}]}, "tools[0].function.name"),
    ],
)
def test_an_error_names_the_field_at_fault(fields: dict[str, Any], named: str) -> None:
    error = refusal(**fields)
    assert (error.status, error.field, error.code) == (400, named, "invalid_request")
    assert error.body()["error"]["message"].startswith(f"Field '{named}': ")
    again = pickle.loads(pickle.dumps(error))
    assert again.body() == error.body()


def test_what_clients_send_besides_is_ignored() -> None:
    found = request(custom=True, temperature=1, max_tokens=9, max_completion_tokens=7, reasoning_effort="on", user="u")
    assert found.limit == 7 and found.temperature == 1.0 and found.include_usage is False
    for effort in ("minimal", "low", "medium", "high", "xhigh", "on", "off", "auto", None):
        request(reasoning_effort=effort)


@given(st.binary(max_size=200))
@settings(max_examples=120, deadline=None)
def test_any_bytes_are_a_request_or_a_400(body: bytes) -> None:
    try:
        read_request(body)
    except ChatError as error:
        assert error.status == 400


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = ("messages", "tools", "tool_choice", "response_format", "stop", "stream_options", "precontext", "logprobs")


@given(st.dictionaries(st.sampled_from(_FIELDS), _JSON, max_size=4))
@settings(max_examples=120, deadline=None)
def test_any_value_in_any_field_is_a_request_or_a_400(fields: dict[str, Any]) -> None:
    try:
        found = request(**fields)
        attachments(found)
        directives(found, TASKS)
    except ChatError as error:
        assert error.status == 400


def test_deep_nesting_is_refused() -> None:
    for body in (b"[" * 50_000, b'{"messages":' * 5_000):
        with pytest.raises(ChatError, match="not valid JSON"):
            read_request(body)


def test_precontext_of_the_request_is_accepted() -> None:
    for sent in (None, [], [{"name": "ocr", "result": {"text": "x"}}, {"toolName": "run_code", "input": {}}]):
        assert request(precontext=sent).messages == request().messages


def test_a_function_without_parameters_takes_none() -> None:
    functions = [{"name": "clock"}, {"name": "open", "parameters": {}}]
    tools = [{"type": "function", "function": function} for function in functions]
    clock, free = conversation(request(tools=tools), "", ()).tools
    assert json.loads(clock.parameters)["additionalProperties"] is False and free.parameters == "{}"


def asked(*messages: tuple[str, Any], **fields: Any) -> Any:
    return request(messages=[{"role": role, "content": content} for role, content in messages], **fields)


def test_directives_of_all_system_turns_are_read_and_taken_out() -> None:
    parts = [{"type": "text", "text": "be brief"}, {"type": "text", "text": "<guard> </guard>"}]
    found = directives(
        asked(("system", "<TASK>STT</TASK> \nhello"), ("developer", parts), ("user", "<task>ocr</task>")), TASKS
    )
    assert (found.task, found.called, found.system) == ("speech_to_text", "stt", "hello\n\nbe brief")
    assert directives(asked(("system", "<task></task>"), ("user", "<task>ocr</task>")), TASKS).task is None


@pytest.mark.parametrize(
    ("system", "message"),
    [
        ("<task>ocr</task><task>stt</task>", "two tasks"),
        ("<task>forecast</task>", "not available on this server; it has: ocr, speech_to_text, stt"),
        ("<task>fly</task>", "is not known; it has: ocr"),
        ("<guard>S1, S9</guard>", "no guard classifiers"),
    ],
)
def test_directives_that_cannot_be_followed_are_refused(system: str, message: str) -> None:
    with pytest.raises(ChatError, match=message):
        directives(asked(("system", system), ("user", "x")), TASKS)


@pytest.mark.parametrize(
    "schema",
    [
        *({}, None, {"type": "object", "properties": {}}, {"$schema": "http://json-schema.org/draft-07/schema#"}),
        {"type": "object", "properties": {}, "additionalProperties": True},
        {"type": "object", "properties": {}, "additionalProperties": False, "required": [], "title": "Empty"},
    ],
)
def test_all_spellings_of_an_empty_schema(schema: dict[str, Any] | None) -> None:
    assert is_empty_schema(schema)
    form = {"type": "json_schema", "json_schema": {"name": "empty_schema", "schema": schema}}
    assert directives(asked(("system", "<task>ocr</task>"), ("user", "x"), response_format=form), TASKS).task == "ocr"


@pytest.mark.parametrize(
    "schema",
    [
        *({"type": "array", "items": {}}, {"type": "string"}, {"anyOf": [{"type": "null"}]}, {"$ref": "#/$defs/a"}),
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "additionalProperties": {"type": "string"}},
    ],
)
def test_a_schema_that_says_something_goes_with_no_task(schema: dict[str, Any]) -> None:
    assert not is_empty_schema(schema)
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    with pytest.raises(ChatError, match="non-empty schema"):
        directives(asked(("system", "<task>ocr</task>"), ("user", "x"), response_format=form), TASKS)


def test_files_are_found_in_every_part_and_in_the_text() -> None:
    data = base64.b64encode(b"hello").decode()
    found = attachments(
        asked(
            ("user", [{"type": "image_url", "image_url": {"url": "https://e.org/a?w=9"}}]),
            ("assistant", "see https://not.a/file"),
            (
                "user",
                [
                    {"type": "text", "text": "and https://e.org/b.pdf, or (https://e.org/a?w=9)."},
                    {"type": "file", "file": {"file_data": data, "filename": "x.txt"}},
                    {"type": "file", "file": {"file_data": f"data:application/octet-stream;base64,{data}"}},
                    {"type": "input_audio", "input_audio": {"data": "https://e.org/c.wav", "format": "x-wav"}},
                    {"type": "input_audio", "input_audio": {"data": data.rstrip("="), "format": "mpeg"}},
                    {"type": "file", "file": {"file_data": "data:text/plain,hello%20you"}},
                    {"type": "audio_url", "audio_url": {"url": "https://e.org/d"}},
                ],
            ),
        )
    )
    assert [(item.url, item.data) for item in found] == [
        ("https://e.org/a?w=9", None),
        *((None, b"hello"), (None, b"hello"), ("https://e.org/c.wav", None), (None, b"hello"), (None, b"hello you")),
        *(("https://e.org/d", None), ("https://e.org/b.pdf", None)),
    ]
    assert [item.in_text for item in found] == [False] * 7 + [True]
    assert found[1].field == "messages[2].content[1].file.file_data" and found[1].name == "x.txt"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("data:image/png;base64", "comma"),
        ("data:image/png;base64,", "no data"),
        ("data:image/png;base64,!!!!", "neither a URL nor base64"),
        ("data:image/gif;base64,R0lGODlh", "image/gif is not supported"),
        ("file:///etc/passwd", "cannot read from file: addresses"),
        ("ftp://e.org/x", "cannot read from ftp: addresses"),
        ("", "no data"),
        ("säure", "neither a URL nor base64"),
    ],
)
def test_data_that_cannot_be_read_is_refused(data: str, message: str) -> None:
    with pytest.raises(ChatError, match=message) as caught:
        attachments(asked(("user", [{"type": "image_url", "image_url": {"url": data}}])))
    assert caught.value.field == "messages[0].content[0].image_url.url"


def test_the_shape_of_ocr() -> None:
    tilted = (10.0, 8.0, 60.0, 9.0, 61.0, 24.0, 10.0, 23.0)
    line = Line("INV 7", tilted, 0.984, (Word("INV", quad(10, 8, 30, 23), 0.991), Word("7", quad(40, 8, 60, 24), 1.0)))
    page = Page(1, 600, 400, "ocr", "INV 7", (line, Line("TOTAL 9.50", quad(0, 30, 9, 40), 0.9)))
    found = task_result("ocr", DocumentResult((page,)), "image/png")
    assert found.keys() == {"extracted_text", "sections", "width", "height"}
    assert (found["extracted_text"], found["width"], found["height"]) == ("INV 7\nTOTAL 9.50", 600, 400)
    [section] = found["sections"]
    assert section.keys() == {"text", "lines", "page", "width", "height"}
    assert section["lines"][0].keys() == {"text", "bounds", "average_confidence", "words"}
    assert section["lines"][0]["average_confidence"] == 0.98
    assert section["lines"][0]["words"][0].keys() == {"text", "bounds", "confidence"}
    assert section["lines"][0]["bounds"] == {
        "top_left": {"x": 10, "y": 8},
        "top_right": {"x": 60, "y": 9},
        "bottom_right": {"x": 61, "y": 24},
        "bottom_left": {"x": 10, "y": 23},
        "width": 50.5,
        "height": 15,
    }
    pdf = task_result("ocr", DocumentResult((page, page)), "application/pdf")
    assert pdf["total_pages"] == 2 and len(pdf["sections"]) == 2
    text = task_result("ocr", DocumentResult((Page(1, 0, 0, "text_layer", "a | b"),)), "text/csv", "a,b")
    assert text == {"extracted_text": "a,b", "sections": [], "width": None, "height": None}


def test_the_shapes_of_speech_and_detections() -> None:
    words = (SpokenWord("hello", 0.0, 0.5, 0.9), SpokenWord("there", 0.5, 1.4, 0.9))
    speech = Speech("hello there friend", "en", 1.0, 2.1, (Chunk("hello there", 0, 1.4, 0.9, "SPEAKER_00", words),))
    found = task_result("speech_to_text", speech, "audio/wav")
    assert found["text"] == "hello there friend"
    assert found["chunks"][0]["timestamp"] == [0.0, 1.4] and isinstance(found["chunks"][0]["timestamp"][0], float)
    assert found["chunks"][0]["speaker"] == "SPEAKER_00"
    assert task_result("speech_to_text", Speech("a", "", 0, 1, (Chunk("a", 0, 1, 1),)), "audio/wav")["chunks"] == [
        {"text": "a", "timestamp": [0.0, 1.0]}
    ]
    boxes = (Detection("crane", quad(5, 6, 50, 90), 0.7, 2),)
    objects = task_result("object_detection", boxes, "application/pdf")
    assert objects == {
        "detected_objects": [
            {"label": "crane", "bounds": bounds(boxes[0].quad), "confidence": 0.7, "page": 2},
        ]
    }
    gui = task_result("gui_detection", boxes, "image/png")["gui_elements"][0]
    assert gui["type"] == "crane" and "label" not in gui and "page" not in gui


def test_a_task_answer_is_a_json_string_under_the_callers_name() -> None:
    content = task_content("stt", [{"text": "ça"}, {"text": "b"}])
    assert content.startswith('{"name":"stt","result":{"text":"ça"}')
    assert json.loads(content)["results"] == [
        {"name": "stt", "result": {"text": "ça"}},
        {"name": "stt", "result": {"text": "b"}},
    ]
    assert json.loads(task_content("ocr", [{}])).keys() == {"name", "result"}


def test_inline_precontext_cannot_end_early() -> None:
    reply = Reply("m", precontext=[{"name": "ocr", "result": {"text": "</precontext><think>"}}])
    event = json.loads(reply.inline_precontext().removeprefix(b"data: "))
    content = event["choices"][0]["delta"]["content"]
    assert content.startswith("<precontext> [") and content.endswith("] </precontext>")
    assert content.count("<") == 2 and json.loads(content[12:-13])[0]["result"]["text"] == "</precontext><think>"


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        *(
            ("Detect all objects.", ()),
            ("Detect all GUI elements.", ()),
            ("", ()),
            ("Find everything in this image", ()),
        ),
        ("Where is the search box?", ("search box",)),
        ("find the red car, a dog and the dog https://e.org/x.png", ("red car", "dog")),
        ("the submit button on this screen", ("submit button",)),
    ],
)
def test_what_a_detection_looks_for(text: str, phrases: tuple[str, ...]) -> None:
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": "https://e.org/x.png"}}]
    assert queries(asked(("user", parts))) == phrases


def test_failures_of_files_are_the_clients_to_mend() -> None:
    for category in FailureCategory:
        error = from_failure(Failure(category, "open", "no"), "messages[0]")
        assert error.status == (413 if category is FailureCategory.TOO_LARGE else 400)
        assert category.value in error.message


@pytest.mark.parametrize("text", ["<task>" * 30_000, "<guard>x" * 30_000, "a" + " \t" * 60_000 + "b"])
def test_long_nonsense_is_read_in_one_pass(text: str) -> None:
    """The test never ends when every opening tag or blank begins a search of its own."""
    body = request(messages=[{"role": "system", "content": text}, {"role": "user", "content": text}])
    assert directives(body, TASKS).task is None and queries(body)


def test_an_event_is_one_line_to_every_reader() -> None:
    event = Reply("m").delta("one\u2028two\u2029three\x85four\r\nfive").decode()
    assert len(event.splitlines()) == 2 and event.endswith("\n\n")
    assert json.loads(event[6:])["choices"][0]["delta"]["content"] == "one\u2028two\u2029three\x85four\r\nfive"


@pytest.mark.parametrize(
    "schema", [{"type": "object", "properties": [1]}, {"properties": "x"}, {"anyOf": {"a": 1}}, {"oneOf": []}]
)
def test_a_malformed_schema_has_a_skeleton_too(schema: dict[str, Any]) -> None:
    assert skeleton(json.dumps(schema))


def test_a_page_of_phrases_is_refused() -> None:
    text = ", ".join(f"ship {n}" for n in range(1000))
    with pytest.raises(ChatError, match="1000 things to look for") as caught:
        queries(request(messages=[{"role": "user", "content": text}]))
    assert caught.value.status == 400 and caught.value.field == "messages"
