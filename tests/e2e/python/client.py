"""Sends traces with the OpenTelemetry SDK for Python over OTLP/gRPC, gzip on, and records what it did.

Every line of the record is one JSON object: {"span": ...} when a span ends, {"export": ...} when the exporter has an
answer for a batch, {"retry": ...} when it was refused and tries again by itself, {"done": ...} last. The record, not
this program's word, is what a test reads.

On SIGTERM it starts no new trace, ends the open ones, flushes and exits with 0.
"""

import argparse
import heapq
import json
import logging
import random
import signal
import threading
import time

from grpc import Compression
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode

KINDS = [SpanKind.INTERNAL, SpanKind.SERVER, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER]


class Record:
    """The file in which a test reads what happened; one line at a time, from any thread."""

    def __init__(self, path):
        self.file = open(path, "w", buffering=1, encoding="utf-8")
        self.lock = threading.Lock()

    def write(self, kind, value):
        with self.lock:
            self.file.write(json.dumps({kind: value}) + "\n")


class Retries(logging.Handler):
    """Records what the exporter tells nobody but its log: that it was refused, and will try again."""

    def __init__(self, record):
        super().__init__(logging.WARNING)
        self.record = record

    def emit(self, told):
        if "retrying in" in told.getMessage():
            self.record.write("retry", {"why": told.getMessage()})


class RecordingExporter(SpanExporter):
    """Passes batches on, and records the answer to each."""

    def __init__(self, inner, record):
        self.inner = inner
        self.record = record

    def export(self, spans):
        started = time.time_ns()
        result = self.inner.export(spans)
        self.record.write(
            "export",
            {
                "ok": result is SpanExportResult.SUCCESS,
                "started": str(started),
                "ended": str(time.time_ns()),
                "spans": [[trace_id(span), span_id(span)] for span in spans],
            },
        )
        return result

    def shutdown(self):
        self.inner.shutdown()

    def force_flush(self, timeout_millis=30_000):
        return self.inner.force_flush(timeout_millis)


class Traffic:
    """Starts traces at a steady rate. Each lives for up to `longest` seconds, so that many are open at any moment."""

    def __init__(self, tracer, record, rate, longest, seed):
        self.tracer = tracer
        self.record = record
        self.rate = rate
        self.longest = longest
        self.random = random.Random(seed)
        self.agenda = []
        self.count = 0

    def at(self, when, act):
        self.count += 1
        heapq.heappush(self.agenda, (when, self.count, act))

    def run(self, stop):
        begin = time.monotonic()
        started = 0
        while not stop.is_set() or self.agenda:
            now = time.monotonic()
            while not stop.is_set() and begin + started / self.rate <= now:
                self.start_trace(now)
                started += 1
            while self.agenda and self.agenda[0][0] <= now:
                heapq.heappop(self.agenda)[2]()
            next_start = begin + started / self.rate if not stop.is_set() else now + 1
            next_act = self.agenda[0][0] if self.agenda else now + 1
            # An interrupted wait is fine: the loop looks at the clock again.
            time.sleep(max(0.0, min(next_start, next_act, now + 0.1) - now))
        return started

    def start_trace(self, now):
        length = self.random.uniform(0.05, self.longest)
        root = self.tracer.start_span("request", kind=SpanKind.SERVER, context=trace.set_span_in_context(trace.INVALID_SPAN))
        root.set_attribute("http.response.status_code", 200)
        inside = trace.set_span_in_context(root)
        for index in range(self.random.randint(2, 6)):
            first, last = sorted(self.random.uniform(0.0, length) for _ in range(2))
            kind = KINDS[(index + self.count) % len(KINDS)]
            self.at(now + first, lambda kind=kind, index=index, end=now + last: self.start_child(inside, kind, index, end))
        # A late child: it starts when its parent has long ended.
        self.at(now + length, lambda: self.start_child(inside, SpanKind.CONSUMER, 9, now + length))
        self.at(now + length / 2, lambda: self.end(root))

    def start_child(self, inside, kind, index, end):
        span = self.tracer.start_span(f"step {index}", context=inside, kind=kind)
        span.set_attribute("step", index)
        span.set_attribute("ratio", 0.5)
        span.set_attribute("retry", index % 2 == 0)
        span.set_attribute("tags", ["a", "b"])
        span.add_event("looked", {"found": index})
        if index == 3:
            span.set_status(Status(StatusCode.ERROR, "refused"))
        self.at(end, lambda: self.end(span))

    def end(self, span):
        span.end()
        self.record.write(
            "span",
            {
                "trace_id": trace_id(span),
                "span_id": span_id(span),
                "parent_span_id": f"{span.parent.span_id:016x}" if span.parent else "",
                "name": span.name,
                "kind": span.kind.name,
                "start": str(span.start_time),
                "end": str(span.end_time),
                "resource": dict(span.resource.attributes),
                "scope": span.instrumentation_scope.name,
                "attributes": dict(span.attributes),
                "events": [
                    {"time": str(event.timestamp), "name": event.name, "attributes": dict(event.attributes)}
                    for event in span.events
                ],
                "status": {"code": span.status.status_code.name, "message": span.status.description or ""},
            },
        )


def trace_id(span):
    return f"{span.get_span_context().trace_id:032x}"


def span_id(span):
    return f"{span.get_span_context().span_id:016x}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoint", required=True, help="host:port")
    parser.add_argument("--record", required=True)
    parser.add_argument("--service", default="checkout")
    parser.add_argument("--rate", type=float, default=20.0, help="traces a second")
    parser.add_argument("--longest", type=float, default=3.0, help="seconds from the first start to the last")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timeout", type=int, default=10, help="seconds for an export with all its retries")
    options = parser.parse_args()

    record = Record(options.record)
    logging.getLogger("opentelemetry").addHandler(Retries(record))
    exporter = OTLPSpanExporter(
        endpoint=options.endpoint, insecure=True, compression=Compression.Gzip, timeout=options.timeout
    )
    provider = TracerProvider(resource=Resource.create({"service.name": options.service}))
    provider.add_span_processor(
        BatchSpanProcessor(RecordingExporter(exporter, record), schedule_delay_millis=200, max_queue_size=65_536)
    )
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    traffic = Traffic(provider.get_tracer("e2e"), record, options.rate, options.longest, options.seed)
    started = traffic.run(stop)
    provider.force_flush(30_000)
    provider.shutdown()
    record.write("done", {"traces": started})


if __name__ == "__main__":
    main()
