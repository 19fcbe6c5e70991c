"""A patient management system, as far as its calls go: instrumented by OpenTelemetry's own libraries (requests, sqlite3), so that the
attributes of its spans are theirs and not this file's.

Every trace is a request that asks an insurer and, unless told otherwise, a laboratory over HTTP, and a database. Whatever name
a URL has, this machine answers.

When all traces are exported it says so in one line and exits with 0.
"""

import argparse
import pathlib
import socket
import sqlite3
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import requests
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind


class Peer(BaseHTTPRequestHandler):
    """Answers as slowly as it is told."""

    delay = 0.0

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(self.delay)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Counting(SpanExporter):
    """Passes batches on, and counts those that were refused."""

    def __init__(self, inner):
        self.inner = inner
        self.failed = 0

    def export(self, spans):
        result = self.inner.export(spans)
        self.failed += result is not SpanExportResult.SUCCESS
        return result

    def shutdown(self):
        self.inner.shutdown()


def every_name_is_this_machine():
    known = socket.getaddrinfo

    def look_up(host, port, *rest, **more):
        return known(host if host in ("127.0.0.1", "localhost") else "127.0.0.1", port, *rest, **more)

    socket.getaddrinfo = look_up


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoint", required=True, help="host:port")
    parser.add_argument("--traces", type=int, default=40)
    parser.add_argument("--port", type=int, default=0, help="where every peer listens")
    parser.add_argument("--insurer", default="api.insurer.example")
    parser.add_argument("--laboratory", default="lab.example", help="empty: is not called")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="how long an answer takes")
    parser.add_argument("--tls", help="folder of ca.pem, client.pem and client.key; none: plain text")
    parser.add_argument("--resource", action="append", default=[], help="key=value")
    options = parser.parse_args()

    way = {"insecure": True}
    if options.tls:
        ca, key, chain = (pathlib.Path(options.tls, name).read_bytes() for name in ("ca.pem", "client.key", "client.pem"))
        way = {"credentials": grpc.ssl_channel_credentials(ca, key, chain)}
    exporter = Counting(OTLPSpanExporter(endpoint=options.endpoint, timeout=20, **way))
    resource = dict(pair.split("=", 1) for pair in options.resource)
    provider = TracerProvider(resource=Resource.create({"service.name": "intake", **resource}))
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=100))
    trace.set_tracer_provider(provider)
    RequestsInstrumentor().instrument()
    SQLite3Instrumentor().instrument()

    Peer.delay = options.delay_ms / 1000
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Peer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    every_name_is_this_machine()

    tracer = trace.get_tracer("e2e")
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE patients (name TEXT)")
    for _ in range(options.traces):
        with tracer.start_as_current_span("POST /intake", kind=SpanKind.SERVER):
            requests.post(f"http://{options.insurer}:{port}/claims", json={}, timeout=20)
            if options.laboratory:
                requests.post(f"http://{options.laboratory}:{port}/orders", json={}, timeout=20)
            database.cursor().execute("SELECT name FROM patients").fetchall()
    server.shutdown()
    provider.force_flush(30_000)
    provider.shutdown()
    print(f"{options.traces} traces, {exporter.failed} exports failed")
    raise SystemExit(1 if exporter.failed else 0)


if __name__ == "__main__":
    main()
