"""Traces of a turn across processes, by OpenTelemetry, where `KOTAE_TRACE_URL` is set; and how long each stage took, always.

Without that setting nothing of OpenTelemetry is imported and a span costs a comparison. Whose trace something belongs to travels as
W3C `traceparent`: in a header to Rasa and the knowledge base, in the message's metadata from Rasa to the actions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any

from kit.metrics import TURN_SECONDS
from kit.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Span, Tracer

HEADER = "traceparent"
Attribute = str | int | float | bool | None


class _Tracing:
    """What is switched on in this process."""

    tracer: Tracer | None = None
    provider: TracerProvider | None = None
    processor: SpanProcessor | None = None


_OFF: AbstractContextManager[None] = contextlib.nullcontext()


def configure(settings: Settings, process: str) -> None:
    """Switches traces on where the settings name a receiver.

    Args:
        process: its name, as the service's in the traces.
    """
    if not settings.trace_url:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = OTLPSpanExporter(f"{settings.trace_url.rstrip('/')}/v1/traces", timeout=5)
    _Tracing.processor = BatchSpanProcessor(exporter, schedule_delay_millis=1000)
    _Tracing.provider = TracerProvider(resource=Resource.create({"service.name": f"kotae-{process}"}))
    _Tracing.provider.add_span_processor(_Tracing.processor)
    _Tracing.tracer = _Tracing.provider.get_tracer("kotae")


def close() -> None:
    """Sends what has not been sent yet."""
    if _Tracing.provider is not None:
        _Tracing.provider.shutdown()
        _Tracing.tracer = _Tracing.provider = _Tracing.processor = None


def span(
    name: str, *, parent: str | None = None, since: datetime | None = None, **attributes: Attribute
) -> AbstractContextManager[Span | None]:
    """A span while the block lasts; nothing where traces are off. No customer's words go into attributes.

    Args:
        parent: `traceparent` of the process that asked; else what goes on in this one.
        since: when it began, where that was earlier.
    """
    if _Tracing.tracer is None:
        return _OFF
    return _span(_Tracing.tracer, name, parent, since, attributes)


@contextmanager
def _span(
    tracer: Tracer, name: str, parent: str | None, since: datetime | None, attributes: dict[str, Attribute]
) -> Iterator[Span]:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract({HEADER: parent}) if parent else None
    began = int(since.timestamp() * 1e9) if since is not None else None
    given = {f"kotae.{key}": value for key, value in attributes.items() if value is not None}
    with tracer.start_as_current_span(name, context, attributes=given, start_time=began) as made:
        yield made


@contextmanager
def stage(name: str, *, parent: str | None = None, **attributes: Attribute) -> Iterator[None]:
    """Times a stage of a turn, for the metrics and as a span.

    Args:
        name: one of those of `kit.metrics.TURN_SECONDS`.
    """
    began = perf_counter()
    try:
        with span(name, parent=parent, since=None, **attributes):
            yield
    finally:
        TURN_SECONDS.labels(name).observe(perf_counter() - began)


def headers() -> dict[str, str]:
    """What tells another process whose trace its work belongs to; nothing where traces are off."""
    if _Tracing.tracer is None:
        return {}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return {HEADER: carrier[HEADER]} if HEADER in carrier else {}


def report(process: str, spans: Sequence[dict[str, Any]]) -> None:
    """Passes on the spans of a process that speaks no OpenTelemetry itself: Rasa's set of libraries is frozen.

    Args:
        spans: `{"name", "id", "parent", "start", "end"}`; ids in hexadecimal, times in nanoseconds; of the trace under way.
    """
    if _Tracing.processor is None:
        return
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

    resource = Resource.create({"service.name": f"kotae-{process}"})
    trace_id = trace.get_current_span().get_span_context().trace_id
    sampled = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    for one in spans:
        ids = [trace.SpanContext(trace_id, int(one[key], 16), False, sampled) for key in ("id", "parent")]
        _Tracing.processor.on_end(
            ReadableSpan(
                str(one["name"]), ids[0], ids[1], resource, start_time=int(one["start"]), end_time=int(one["end"])
            )
        )
