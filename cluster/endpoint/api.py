"""The HTTP side of the gateway: routes, headers, errors, and the OpenAPI document."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from cluster.endpoint.admission import MARK, App, Message, Receive, Scope, Send
from cluster.endpoint.answering import ChatService, Turn
from cluster.endpoint.config import EndpointConfig
from cluster.endpoint.figures import Figures
from cluster.endpoint.keys import KeyRing
from cluster.endpoint.visitors import Visitors
from decoder.protocol.errors import ChatError
from decoder.protocol.request import CompletionRequest
from decoder.protocol.response import DONE, CompletionOut, ErrorOut, sse
from encoders.tracing import Span

PAGE = Path(__file__).with_name("page")
_WEBP = {"content": {"image/webp": {"schema": {"type": "string", "format": "binary"}}}, "description": "the page"}
_ALIVE, _PATIENCE_SECONDS = b": still working\n\n", 10.0  # what a stream says when nothing else came for so long
_log = logging.getLogger("ray.serve")


class ModelOut(BaseModel):
    """A model that the endpoint answers as."""

    id: str
    object: str = "model"
    created: int
    owned_by: str = "interlace"
    name: str


class ModelsOut(BaseModel):
    """All of them."""

    object: str = "list"
    data: list[ModelOut]


class HealthOut(BaseModel):
    """Whether the endpoint answers, and what is awake."""

    ok: bool
    model: str
    decoder: str
    tasks: list[str]


def build_api(
    config: EndpointConfig,
    service: ChatService,
    figures: Figures,
    state: Callable[[], str],
    stop: Callable[[], Awaitable[None]],
) -> FastAPI:
    """The FastAPI application. ``state`` says whether the decoder is awake, ``stop`` ends what the gateway holds."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await stop()

    api = FastAPI(title="Interlace", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    born = int(time.time())
    models = [ModelOut(id=name, created=born, name=name.replace("-", " ").title()) for name in config.serve.models]
    errors: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorOut} for status in (400, 401, 403, 404, 408, 413, 429, 503)
    }
    _add_errors(api, figures)
    _add_middleware(api, config)

    @api.get("/health", response_model=HealthOut)
    async def health() -> HealthOut:
        return HealthOut(ok=True, model=models[0].id, decoder=state(), tasks=sorted(config.encoders))

    @api.get("/v1/models", response_model=ModelsOut, responses={s: errors[s] for s in (401, 403, 429)})
    async def list_models() -> ModelsOut:
        return ModelsOut(data=models)

    @api.get("/v1/models/{model}", response_model=ModelOut, responses={s: errors[s] for s in (401, 403, 404, 429)})
    async def one_model(model: str) -> ModelOut:
        for known in models:
            if known.id == model:
                return known
        raise ChatError(404, f"no model {model!r}", code="model_not_found")

    @api.post("/v1/chat/completions", response_model=CompletionOut, responses=errors)
    async def chat(request: Request) -> Response:
        _check_json(request.headers.get("content-type", ""))
        traced = config.tracing.request(request.headers.get("traceparent")).open("chat")
        try:
            with traced.trace.active(), figures.request() as seen:
                async with asyncio.timeout(config.serve.limits.request_seconds):
                    turn = await service.begin(await request.body(), request.headers)
                    seen.begun(turn)
                    if turn.request.stream:
                        return await _stream(service, turn, figures, traced)
                    completion = await service.whole(turn)
                    seen.finished(turn)
        except BaseException as error:
            traced.end(error=type(error).__name__)
            raise
        traced.end(request=turn.reply.id, task=turn.directives.task)
        return JSONResponse(completion, headers={"x-interlace-request": turn.reply.id, **_trace_header(traced)})

    @api.post("/v1/pictures", response_class=Response, responses={200: _WEBP, **errors})
    async def picture(request: Request, page: int = 1) -> Response:
        if not 1 <= page <= 1_000_000:
            raise ChatError(400, "pages count from 1", field="page")
        return Response(await service.perceiver.picture(await request.body(), page), media_type="image/webp")

    @api.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}, 401: errors[401]})
    async def metrics(request: Request) -> Response:
        text, kind = await figures.text(request.headers.get("x-interlace-refused"))
        return Response(text, media_type=kind)

    @api.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response((PAGE / "index.html").read_bytes(), media_type="text/html", headers=_page_headers())

    api.mount("/page", StaticFiles(directory=PAGE), name="page")
    api.openapi = lambda: _openapi(api)  # type: ignore[method-assign]
    return api


def _trace_header(traced: Span) -> dict[str, str]:
    return {"x-interlace-trace": traced.trace.name} if traced.trace else {}


async def _stream(service: ChatService, turn: Turn, figures: Figures, traced: Span) -> Response:
    """Answer as a stream once its first event is there, so that what goes wrong before is a plain error. When that
    takes long the stream begins without it, and comments keep the connection alive."""
    events = service.events(turn)
    first = asyncio.ensure_future(anext(events))
    try:
        await asyncio.wait([first], timeout=_PATIENCE_SECONDS)
        if first.done():
            first.result()
    except BaseException:
        first.cancel()
        raise

    async def closed() -> None:
        await _closed(first, events)
        if traced.trace:
            traced.end(request=turn.reply.id, task=turn.directives.task, first_token=turn.first_token)

    return _EventStream(_sent(turn, first, events, figures), closed, _trace_header(traced))


async def _sent(
    turn: Turn, first: asyncio.Future[bytes], events: AsyncIterator[bytes], figures: Figures
) -> AsyncGenerator[bytes, None]:
    with figures.stream(turn):
        try:
            while not (await asyncio.wait([first], timeout=_PATIENCE_SECONDS))[0]:
                yield _ALIVE
            yield first.result()
            async for event in events:
                yield event
        except ChatError as error:
            yield sse(error.body()) + DONE
        except Exception:
            _log.exception("a stream failed")
            yield sse(ChatError(500, "the answer could not be finished").body()) + DONE


async def _closed(first: asyncio.Future[bytes], events: AsyncIterator[bytes]) -> None:
    """End the events, and with them what the decoder does for them. The wait for the first may be inside of them, and
    has to leave before they can be closed."""
    first.cancel()
    await asyncio.wait([first])
    if not first.cancelled():
        first.exception()  # seen, should nobody have come to see it
    await events.aclose()  # type: ignore[attr-defined]


def _add_errors(api: FastAPI, figures: Figures) -> None:
    async def of_chat(request: Request, error: Exception) -> Response:
        assert isinstance(error, ChatError)
        figures.failed(error.status)
        return JSONResponse(error.body(), error.status, headers=error.headers())

    async def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = error.status_code if error.status_code in (404, 405) else 400
        return await of_chat(request, ChatError(status, f"{request.method} {request.url.path}: {error.detail}"))

    async def of_time(request: Request, error: Exception) -> Response:
        return await of_chat(request, ChatError(503, "the request took too long", retry_after=5))

    async def of_anything(request: Request, error: Exception) -> Response:
        _log.exception("a request failed", exc_info=error)
        figures.failed(500)
        body = ChatError(500, "an internal error; the server's log has it").body()
        return JSONResponse(body, 500, headers={MARK.decode(): "1"})

    async def of_parameters(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        return await of_chat(request, ChatError(400, first["msg"], field=str(first["loc"][-1])))

    api.add_exception_handler(ChatError, of_chat)
    api.add_exception_handler(RequestValidationError, of_parameters)
    api.add_exception_handler(HTTPException, of_http)
    api.add_exception_handler(TimeoutError, of_time)
    api.add_exception_handler(Exception, of_anything)


def _check_json(kind: str) -> None:
    """A browser sends JSON for a page elsewhere only after it has asked; any other type it may send at once."""
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise ChatError(400, f"the content type must be application/json, not {kind[:100] or 'left out'}")


def _add_middleware(api: FastAPI, config: EndpointConfig) -> None:
    keyless = KeyRing(config.serve.limits, config.serve.keys).open
    api.add_middleware(CORSMiddleware, **Visitors(config.serve, keyless).cors())
    api.add_middleware(_Marking)


class _Marking:
    """Marks every answer as the gateway's own. Plain ASGI: Starlette's middleware of functions puts two tasks and a
    queue between a stream and its reader."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (MARK, b"1"), (b"x-content-type-options", b"nosniff")]
            await send(message)

        await self._app(scope, receive, marked)


class _EventStream(Response):
    """A stream of events. Serve cancels the call when the client goes, so nobody watches for that here. ``closed`` ends
    what the events come from: a generator that was never begun, because the client went at once, ends nothing."""

    media_type = "text/event-stream"

    def __init__(
        self, events: AsyncGenerator[bytes, None], closed: Callable[[], Awaitable[None]], more: Mapping[str, str]
    ) -> None:
        super().__init__(headers={"cache-control": "no-cache", "x-accel-buffering": "no", **more})
        del self.headers["content-length"]
        self._events, self._closed = events, closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for event in self._events:
                await send({"type": "http.response.body", "body": event, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await self._events.aclose()
            await self._closed()


def _page_headers() -> dict[str, str]:
    policy = "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; object-src 'none'"
    return {
        "content-security-policy": policy + "; base-uri 'none'; frame-ancestors 'none'",
        "cache-control": "no-cache",
    }


def _openapi(api: FastAPI) -> dict[str, Any]:
    """FastAPI's document with the schema of the chat request, which is read by hand for the sake of its errors."""
    if api.openapi_schema is None:
        document = get_openapi(title=api.title, version=api.version, routes=api.routes)
        schema = CompletionRequest.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas |= schema.pop("$defs", {})
        schemas["CompletionRequest"] = schema
        reference = {"schema": {"$ref": "#/components/schemas/CompletionRequest"}}
        body = {"required": True, "content": {"application/json": reference}}
        operation = document["paths"]["/v1/chat/completions"]["post"]
        operation["requestBody"] = body
        file = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        document["paths"]["/v1/pictures"]["post"]["requestBody"] = {"required": True, "content": file}
        operation["responses"]["200"]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
        for path in document["paths"].values():
            for one in path.values():
                one.get("responses", {}).pop("422", None)  # FastAPI's own; ours are 400
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}, {}]
        api.openapi_schema = document
    return api.openapi_schema
