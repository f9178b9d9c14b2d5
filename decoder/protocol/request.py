"""The body of POST /v1/chat/completions, validated: whatever is wrong with it is a 400 that names the field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError
from pydantic_core import from_json

from decoder.protocol.errors import ChatError, bad_request

MAX_OUTPUT_TOKENS = 32_000
_NUMBER = Field(strict=True, allow_inf_nan=False)


class _Model(BaseModel):
    """Unknown keys are accepted and ignored: the clients pass through whatever their users add."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class TextPart(_Model):
    """Words of a message."""

    type: Literal["text", "input_text"]
    text: StrictStr


class ImageUrl(_Model):
    """Where an image is: an https URL, a data: URI, or bare base64."""

    url: StrictStr


class ImagePart(_Model):
    """An image."""

    type: Literal["image_url", "input_image"]
    image_url: ImageUrl | StrictStr


class FileData(_Model):
    """A file of any kind: ``file_data`` is a URL, a data: URI or bare base64."""

    file_data: StrictStr | None = None
    file_url: StrictStr | None = None
    filename: StrictStr | None = None
    format: StrictStr | None = None


class FilePart(_Model):
    """A file."""

    type: Literal["file", "input_file"]
    file: FileData


class AudioData(_Model):
    """A recording: ``data`` is a URL, a data: URI or bare base64. ``format`` is a hint that nobody checks."""

    data: StrictStr
    format: StrictStr | None = None


class AudioPart(_Model):
    """A recording."""

    type: Literal["input_audio"]
    input_audio: AudioData


class LinkPart(_Model):
    """The spellings of a link that some clients use."""

    type: Literal["audio_url", "video_url", "file_url"]
    audio_url: ImageUrl | StrictStr | None = None
    video_url: ImageUrl | StrictStr | None = None
    file_url: ImageUrl | StrictStr | None = None


Part = Annotated[TextPart | ImagePart | FilePart | AudioPart | LinkPart, Field(discriminator="type")]


class FunctionCall(_Model):
    """A call that the assistant made. ``arguments`` is JSON text."""

    name: StrictStr
    arguments: StrictStr


class ToolCall(_Model):
    """A tool call of an earlier turn."""

    id: StrictStr
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(_Model):
    """One turn of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: StrictStr | list[Part] | None = None
    name: StrictStr | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: StrictStr | None = None

    @property
    def text(self) -> str:
        """Its words, without its files."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or () if isinstance(part, TextPart))

    @property
    def empty(self) -> bool:
        """Whether it says nothing at all."""
        files = isinstance(self.content, list) and any(not isinstance(part, TextPart) for part in self.content)
        return not (files or self.tool_calls or self.text.strip())


class JsonSchemaFormat(_Model):
    """A JSON schema under a name."""

    name: StrictStr = "response"
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: StrictBool | None = None


class ResponseFormat(_Model):
    """What the answer has to look like."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None


class FunctionDefinition(_Model):
    """A function that the model may call."""

    name: Annotated[StrictStr, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_.-]+$")]
    description: StrictStr | None = None
    parameters: dict[str, Any] | None = None
    strict: StrictBool | None = None


class Tool(_Model):
    """A tool: always a function."""

    type: Literal["function"]
    function: FunctionDefinition


class NamedFunction(_Model):
    """The name of a function."""

    name: StrictStr


class NamedTool(_Model):
    """The tool that must be called."""

    type: Literal["function"]
    function: NamedFunction


class StreamOptions(_Model):
    """What a stream carries besides the answer."""

    include_usage: StrictBool | None = None


class GivenPrecontext(_Model):
    """What a tool said before this request: accepted for the clients that send it, and not read. The files of the
    request are read all the same."""

    name: StrictStr | None = None
    result: Any = None


class CompletionRequest(_Model):
    """A chat request. Without a ``temperature`` the answer is greedy; with one it is drawn with the ``seed``, 0 when
    there is none, so that the same request has the same answer."""

    model: Annotated[StrictStr, Field(min_length=1)]
    messages: Annotated[list[Message], Field(min_length=1)]
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    tool_choice: Literal["auto", "none", "required"] | NamedTool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "on", "off", "auto"] | None = None
    max_tokens: Annotated[StrictInt, Field(ge=1, le=MAX_OUTPUT_TOKENS)] | None = None
    max_completion_tokens: Annotated[StrictInt, Field(ge=1, le=MAX_OUTPUT_TOKENS)] | None = None
    temperature: Annotated[float, _NUMBER, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, _NUMBER, Field(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[float, _NUMBER, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, _NUMBER, Field(ge=-2, le=2)] | None = None
    stop: StrictStr | Annotated[list[StrictStr], Field(max_length=4)] | None = None
    seed: StrictInt | None = None
    n: StrictInt | None = None
    logprobs: StrictBool | None = None
    top_logprobs: Annotated[StrictInt, Field(ge=0, le=20)] | None = None
    precontext: list[GivenPrecontext] | None = None

    @property
    def limit(self) -> int | None:
        """The most tokens that the answer may have; None: as many as the decoder may write."""
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end the answer and are no part of it."""
        found = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        return tuple(text for text in found if text)

    @property
    def include_usage(self) -> bool:
        """Whether the stream ends with a chunk of usage."""
        return bool(self.stream_options and self.stream_options.include_usage)


def read_request(body: bytes) -> CompletionRequest:
    """The request in a body. Raises `ChatError` 400."""
    try:
        raw = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise bad_request(None, f"the body is not valid JSON: {error}") from None
    if not isinstance(raw, dict):
        raise bad_request(None, "the body must be a JSON object")
    try:
        request = CompletionRequest.model_validate(raw)
    except ValidationError as error:
        raise _first_error(error, raw) from None
    _check(request)
    return request


def _check(request: CompletionRequest) -> None:
    """What types cannot say."""
    if all(message.empty for message in request.messages):
        raise bad_request("messages", "every message is empty")
    if request.n not in (None, 1):
        raise bad_request("n", "only one answer per request is supported")
    if request.top_logprobs and not request.logprobs:
        raise bad_request("top_logprobs", "needs logprobs: true")
    names = [tool.function.name for tool in request.tools or ()]
    if len(set(names)) < len(names):
        raise bad_request("tools", "two functions have the same name")
    if isinstance(request.tool_choice, NamedTool) and request.tool_choice.function.name not in names:
        raise bad_request("tool_choice.function.name", f"no tool is called {request.tool_choice.function.name!r}")
    if request.tool_choice == "required" and not names:
        raise bad_request("tool_choice", "required needs tools")


def _first_error(error: ValidationError, raw: Any) -> ChatError:
    """The error that lies deepest: of a union's alternatives the one that fits best complains last."""
    worst = max(error.errors(include_url=False, include_context=False), key=lambda item: len(item["loc"]))
    field, message = _field(worst["loc"], raw), worst["msg"]
    if worst["type"] == "missing":
        message = "is required"
    return bad_request(field, message[0].lower() + message[1:])


def _field(location: Sequence[int | str], raw: Any) -> str:
    """The path as one writes it. pydantic's locations also name a union's alternatives; those are not in the body."""
    path, at = "", raw
    for index, step in enumerate(location):
        if isinstance(step, int):
            path += f"[{step}]"
            at = at[step] if isinstance(at, list) and step < len(at) else None
        elif isinstance(at, dict) and (step in at or index == len(location) - 1):
            path += f".{step}" if path else step
            at = at.get(step)
    return path
