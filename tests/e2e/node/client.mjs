// Sends traces with the OpenTelemetry SDK for Node.js over OTLP/HTTP protobuf, gzip on, and records what it did.
//
// Every line of the record is one JSON object: {"span": ...} when a span ends, {"export": ...} when the exporter has an
// answer for a batch, {"retry": ...} when it was refused and tries again by itself, {"done": ...} last. The record, not
// this program's word, is what a test reads.
//
// On SIGTERM it starts no new trace, ends the open ones, flushes and exits with 0. The SDK is looked up below
// $E2E_PACKAGES, since packages are kept outside the tree.

import { createRequire } from 'node:module';
import { appendFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const require = createRequire(`${process.env.E2E_PACKAGES}/package.json`);
const { diag, trace, DiagLogLevel, ROOT_CONTEXT, SpanKind, SpanStatusCode } = require('@opentelemetry/api');
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-proto');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { BasicTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-base');

const { values: options } = parseArgs({
  options: {
    endpoint: { type: 'string' }, // http://host:port
    record: { type: 'string' },
    service: { type: 'string', default: 'inventory' },
    rate: { type: 'string', default: '20' }, // traces a second
    longest: { type: 'string', default: '3' }, // seconds from the first start to the last
    seed: { type: 'string', default: '1' },
    timeout: { type: 'string', default: '10' }, // seconds for an export with all its retries
  },
});
const KINDS = ['INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'];
const longest = Number(options.longest) * 1000;
const random = mulberry32(Number(options.seed));

writeFileSync(options.record, '');
const record = (kind, value) => appendFileSync(options.record, `${JSON.stringify({ [kind]: value })}\n`);
const nanos = ([seconds, rest]) => String(BigInt(seconds) * 1_000_000_000n + BigInt(rest));
const now = () => String(BigInt(Date.now()) * 1_000_000n);

// The exporter tells nobody but its log that it was refused and will try again.
const ignore = () => {};
const verbose = (why) => {
  if (why.startsWith('Scheduling export retry')) record('retry', { why });
};
const logger = { error: console.error, warn: console.error, info: ignore, debug: ignore, verbose };
diag.setLogger(logger, DiagLogLevel.VERBOSE);

/** Passes batches on, and records the answer to each. */
class RecordingExporter {
  constructor(inner) {
    this.inner = inner;
  }
  export(spans, done) {
    const started = now();
    this.inner.export(spans, (result) => {
      const ids = spans.map((span) => [span.spanContext().traceId, span.spanContext().spanId]);
      const error = result.error === undefined ? undefined : String(result.error);
      record('export', { ok: result.code === 0, started, ended: now(), spans: ids, error });
      done(result);
    });
  }
  shutdown() {
    return this.inner.shutdown();
  }
  forceFlush() {
    return this.inner.forceFlush?.() ?? Promise.resolve();
  }
}

const exporter = new OTLPTraceExporter({
  url: `${options.endpoint}/v1/traces`,
  compression: 'gzip',
  timeoutMillis: Number(options.timeout) * 1000,
});
const provider = new BasicTracerProvider({
  resource: resourceFromAttributes({ 'service.name': options.service }),
  spanProcessors: [
    new BatchSpanProcessor(new RecordingExporter(exporter), {
      scheduledDelayMillis: 200,
      maxQueueSize: 65_536,
      exportTimeoutMillis: Number(options.timeout) * 1000 + 5_000,
    }),
  ],
});
const tracer = provider.getTracer('e2e');

let started = 0;
let open = 0;
let stopping = false;

/** A trace whose spans start within `longest`; the root ends half way, and a last child starts at the very end. */
function startTrace() {
  started += 1;
  const length = 50 + random() * (longest - 50);
  const root = tracer.startSpan('request', { kind: SpanKind.SERVER }, ROOT_CONTEXT);
  root.setAttribute('http.response.status_code', 200);
  const inside = trace.setSpan(ROOT_CONTEXT, root);
  const children = 2 + Math.floor(random() * 5);
  for (let index = 0; index < children; index += 1) {
    const [first, last] = [random() * length, random() * length].sort((a, b) => a - b);
    later(first, () => startChild(inside, KINDS[(index + started) % KINDS.length], index, last - first));
  }
  later(length, () => startChild(inside, 'CONSUMER', 9, 0));
  later(length / 2, () => end(root));
}

function startChild(inside, kind, index, length) {
  const span = tracer.startSpan(`step ${index}`, { kind: SpanKind[kind] }, inside);
  span.setAttributes({ step: index, ratio: 0.5, retry: index % 2 === 0, tags: ['a', 'b'] });
  span.addEvent('looked', { found: index });
  if (index === 3) span.setStatus({ code: SpanStatusCode.ERROR, message: 'refused' });
  later(length, () => end(span));
}

function end(span) {
  span.end();
  record('span', {
    trace_id: span.spanContext().traceId,
    span_id: span.spanContext().spanId,
    parent_span_id: span.parentSpanContext?.spanId ?? '',
    name: span.name,
    kind: SpanKind[span.kind],
    start: nanos(span.startTime),
    end: nanos(span.endTime),
    resource: span.resource.attributes,
    scope: span.instrumentationScope.name,
    attributes: span.attributes,
    events: span.events.map(({ time, name, attributes }) => ({ time: nanos(time), name, attributes })),
    status: { code: SpanStatusCode[span.status.code], message: span.status.message ?? '' },
  });
}

function later(millis, act) {
  open += 1;
  setTimeout(() => {
    act();
    open -= 1;
    if (stopping && open === 0) void finish();
  }, millis);
}

async function finish() {
  // Either rejects if an export fails meanwhile; that failure stands in the record already.
  await provider.forceFlush().catch(() => {});
  await provider.shutdown().catch(() => {});
  record('done', { traces: started });
}

/** A small seeded generator of numbers in [0, 1). */
function mulberry32(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}


const begin = Date.now();
const ticker = setInterval(() => {
  while (begin + (started * 1000) / Number(options.rate) <= Date.now()) startTrace();
}, 10);
process.on('SIGTERM', () => {
  if (stopping) return;
  stopping = true;
  clearInterval(ticker);
  if (open === 0) void finish();
});
