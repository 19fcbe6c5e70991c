//! What the services of a business do: operations and what they call, as templates of traces.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

/// Whose traffic it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Business {
    /// Sells things; calls a bank.
    #[default]
    Shop,
    /// Treats patients; calls an insurer and a laboratory.
    Clinic,
    /// The same as its tests see it: a simulator, which answers at once, stands for the insurer, and the laboratory is not called at all.
    ClinicSimulated,
}

impl Business {
    /// The names of its services; templates name them by their place in here.
    pub(crate) const fn services(self) -> [&'static str; 6] {
        match self {
            Business::Shop => ["frontend", "cart", "checkout", "inventory", "payment", "mailer"],
            Business::Clinic | Business::ClinicSimulated => {
                ["portal", "appointments", "records", "laboratory", "billing", "reminders"]
            }
        }
    }

    /// `service.namespace`.
    pub(crate) const fn namespace(self) -> &'static str {
        match self {
            Business::Shop => "shop",
            Business::Clinic | Business::ClinicSimulated => "clinic",
        }
    }

    /// Templates with their shares in percent: about 6 spans a trace on average.
    pub(super) const fn templates(self) -> &'static [(u32, Op)] {
        match self {
            Business::Shop => &SHOP,
            Business::Clinic => &CLINIC,
            Business::ClinicSimulated => &CLINIC_SIMULATED,
        }
    }
}

/// An operation of a business and what it calls, in order.
pub(super) struct Op {
    pub(super) service: usize,
    pub(super) kind: SpanKind,
    pub(super) name: &'static str,
    pub(super) attributes: &'static [(&'static str, Attribute)],
    pub(super) calls: &'static [Op],
    /// Whether it takes no longer than a simulator does, however much time there is.
    pub(super) at_once: bool,
}

/// How the value of an attribute is made.
#[derive(Clone, Copy)]
pub(super) enum Attribute {
    Text(&'static str),
    /// One of these.
    Either(&'static [&'static str]),
    /// A whole number below.
    Below(i64),
    Money,
    Flag,
    Header,
}

use Attribute::{Below, Either, Flag, Header, Money, Text};
use SpanKind::{Client, Consumer, Internal, Producer, Server};

const fn op(
    service: usize,
    kind: SpanKind,
    name: &'static str,
    attributes: &'static [(&'static str, Attribute)],
    calls: &'static [Op],
) -> Op {
    Op { service, kind, name, attributes, calls, at_once: false }
}

const FRONTEND: usize = 0;
const CART: usize = 1;
const CHECKOUT: usize = 2;
const INVENTORY: usize = 3;
const PAYMENT: usize = 4;
const MAILER: usize = 5;

const HTTP_GET: &[(&str, Attribute)] = &[
    ("http.request.method", Text("GET")),
    ("url.path", Either(&["/", "/products", "/products/42", "/search"])),
    ("http.response.status_code", Text("200")),
    ("user_agent.original", Text("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")),
    ("http.request.header.accept", Header),
    ("client.port", Below(65_536)),
];
const HTTP_POST: &[(&str, Attribute)] = &[
    ("http.request.method", Text("POST")),
    ("url.path", Either(&["/cart", "/checkout"])),
    ("http.request.body.size", Below(20_000)),
    ("shop.user.is_member", Flag),
    ("network.protocol.version", Text("2")),
];
const RPC: &[(&str, Attribute)] = &[
    ("rpc.system", Text("grpc")),
    ("rpc.grpc.status_code", Below(1)),
    ("server.address", Either(&["10.8.0.11", "10.8.0.12", "10.8.0.13"])),
    ("server.port", Below(9_000)),
];
const SQL: &[(&str, Attribute)] = &[
    ("db.system.name", Text("postgresql")),
    (
        "db.query.text",
        Text("SELECT sku, price, stock FROM products WHERE category = $1 ORDER BY rank LIMIT 50"),
    ),
    ("db.response.returned_rows", Below(50)),
];
const REDIS: &[(&str, Attribute)] =
    &[("db.system.name", Text("redis")), ("db.operation.name", Either(&["HGETALL", "HSET"]))];
const QUEUE: &[(&str, Attribute)] = &[
    ("messaging.system", Text("kafka")),
    ("messaging.destination.name", Text("orders")),
    ("messaging.kafka.offset", Below(1 << 40)),
];
const ORDER: &[(&str, Attribute)] = &[("shop.order.total", Money), ("shop.order.items", Below(12))];

const QUERY_PRODUCTS: &[Op] = &[op(INVENTORY, Client, "SELECT products", SQL, &[])];
const LIST_PRODUCTS: &[Op] = &[op(INVENTORY, Server, "inventory.Catalog/List", RPC, QUERY_PRODUCTS)];
const READ_CART: &[Op] = &[op(CART, Client, "redis HGETALL", REDIS, &[])];
const SERVE_CART: &[Op] = &[op(CART, Server, "cart.Cart/Update", RPC, READ_CART)];
const ASK_BANK: &[Op] = &[op(PAYMENT, Client, "POST bank", HTTP_POST, &[])];
const SERVE_CHARGE: &[Op] = &[op(PAYMENT, Server, "payment.Payment/Charge", RPC, ASK_BANK)];
const SEND_MAIL: &[Op] = &[op(MAILER, Consumer, "process orders", QUEUE, &[])];
const PLACE_ORDER: &[Op] = &[
    op(CHECKOUT, Internal, "price order", ORDER, &[]),
    op(CHECKOUT, Client, "cart.Cart/Get", RPC, SERVE_CART),
    op(CHECKOUT, Client, "payment.Payment/Charge", RPC, SERVE_CHARGE),
    op(CHECKOUT, Producer, "publish orders", QUEUE, SEND_MAIL),
];
const SERVE_CHECKOUT: &[Op] = &[op(CHECKOUT, Server, "checkout.Checkout/Place", RPC, PLACE_ORDER)];

/// Templates with their shares in percent: 6.1 spans a trace on average.
static SHOP: [(u32, Op); 4] = [
    (12, op(FRONTEND, Server, "GET /", HTTP_GET, &[op(FRONTEND, Internal, "render", &[], &[])])),
    (
        40,
        op(
            FRONTEND,
            Server,
            "GET /products",
            HTTP_GET,
            &[
                op(FRONTEND, Client, "inventory.Catalog/List", RPC, LIST_PRODUCTS),
                op(FRONTEND, Internal, "render", &[], &[]),
            ],
        ),
    ),
    (
        24,
        op(
            FRONTEND,
            Server,
            "POST /cart",
            HTTP_POST,
            &[op(FRONTEND, Client, "cart.Cart/Update", RPC, SERVE_CART)],
        ),
    ),
    (
        24,
        op(
            FRONTEND,
            Server,
            "POST /checkout",
            HTTP_POST,
            &[op(FRONTEND, Client, "checkout.Checkout/Place", RPC, SERVE_CHECKOUT)],
        ),
    ),
];

const PORTAL: usize = 0;
const APPOINTMENTS: usize = 1;
const RECORDS: usize = 2;
const LABORATORY: usize = 3;
const BILLING: usize = 4;
const REMINDERS: usize = 5;

const PORTAL_PAGE: &[(&str, Attribute)] = &[
    ("http.request.method", Text("GET")),
    ("url.path", Either(&["/", "/patients/1001", "/patients/1002", "/appointments"])),
    ("http.response.status_code", Text("200")),
];
const INSURER: &[(&str, Attribute)] = &[
    ("http.request.method", Text("POST")),
    ("server.address", Text("api.insurer.example")),
    ("url.full", Text("https://api.insurer.example/v2/eligibility")),
    ("http.response.status_code", Text("200")),
];
const LABORATORY_API: &[(&str, Attribute)] = &[
    ("http.request.method", Text("POST")),
    ("server.address", Text("lims.laboratory.example")),
    ("url.full", Text("https://lims.laboratory.example/orders")),
    ("http.response.status_code", Text("201")),
];
const REMINDER_QUEUE: &[(&str, Attribute)] =
    &[("messaging.system", Text("kafka")), ("messaging.destination.name", Text("reminders"))];

const READ_RECORD: &[Op] = &[op(RECORDS, Client, "SELECT encounters", SQL, &[])];
const SERVE_RECORD: &[Op] = &[op(RECORDS, Server, "records.Records/Get", RPC, READ_RECORD)];
const ASK_INSURER: &[Op] = &[op(BILLING, Client, "POST eligibility", INSURER, &[])];
const SERVE_BILLING: &[Op] = &[op(BILLING, Server, "billing.Billing/Check", RPC, ASK_INSURER)];
const REMIND: &[Op] = &[op(REMINDERS, Consumer, "process reminders", REMINDER_QUEUE, &[])];
const BOOK: &[Op] = &[
    op(APPOINTMENTS, Client, "billing.Billing/Check", RPC, SERVE_BILLING),
    op(APPOINTMENTS, Internal, "find slot", &[], &[]),
    op(APPOINTMENTS, Producer, "publish reminders", REMINDER_QUEUE, REMIND),
];
const SERVE_BOOKING: &[Op] = &[op(APPOINTMENTS, Server, "appointments.Appointments/Book", RPC, BOOK)];
const ASK_LABORATORY: &[Op] = &[op(LABORATORY, Client, "POST order", LABORATORY_API, &[])];
const SERVE_LABORATORY: &[Op] = &[op(LABORATORY, Server, "laboratory.Orders/Place", RPC, ASK_LABORATORY)];

const INSURER_SIMULATOR: &[(&str, Attribute)] = &[
    ("http.request.method", Text("POST")),
    ("server.address", Text("insurer-mock")),
    ("url.full", Text("http://insurer-mock:8080/v2/eligibility")),
    ("http.response.status_code", Text("200")),
];
const ASK_SIMULATOR: &[Op] =
    &[Op { at_once: true, ..op(BILLING, Client, "POST eligibility", INSURER_SIMULATOR, &[]) }];
const SERVE_TESTED_BILLING: &[Op] = &[op(BILLING, Server, "billing.Billing/Check", RPC, ASK_SIMULATOR)];
const BOOK_IN_TESTS: &[Op] = &[
    op(APPOINTMENTS, Client, "billing.Billing/Check", RPC, SERVE_TESTED_BILLING),
    op(APPOINTMENTS, Internal, "find slot", &[], &[]),
    op(APPOINTMENTS, Producer, "publish reminders", REMINDER_QUEUE, REMIND),
];
const SERVE_TESTED_BOOKING: &[Op] =
    &[op(APPOINTMENTS, Server, "appointments.Appointments/Book", RPC, BOOK_IN_TESTS)];
const SERVE_TESTED_LABORATORY: &[Op] = &[op(LABORATORY, Server, "laboratory.Orders/Place", RPC, &[])];

const RENDER: &[Op] = &[op(PORTAL, Internal, "render", &[], &[])];
const CALL_RECORDS: &[Op] =
    &[op(PORTAL, Client, "records.Records/Get", RPC, SERVE_RECORD), op(PORTAL, Internal, "render", &[], &[])];
const CALL_BOOKING: &[Op] = &[op(PORTAL, Client, "appointments.Appointments/Book", RPC, SERVE_BOOKING)];
const CALL_TESTED_BOOKING: &[Op] =
    &[op(PORTAL, Client, "appointments.Appointments/Book", RPC, SERVE_TESTED_BOOKING)];
const CALL_LABORATORY: &[Op] = &[op(PORTAL, Client, "laboratory.Orders/Place", RPC, SERVE_LABORATORY)];
const CALL_TESTED_LABORATORY: &[Op] =
    &[op(PORTAL, Client, "laboratory.Orders/Place", RPC, SERVE_TESTED_LABORATORY)];

static CLINIC: [(u32, Op); 4] = clinic(CALL_BOOKING, CALL_LABORATORY);
static CLINIC_SIMULATED: [(u32, Op); 4] = clinic(CALL_TESTED_BOOKING, CALL_TESTED_LABORATORY);

/// The clinic's templates, with what becomes of a booking and of an order to the laboratory.
const fn clinic(booking: &'static [Op], laboratory: &'static [Op]) -> [(u32, Op); 4] {
    [
        (10, op(PORTAL, Server, "GET /", PORTAL_PAGE, RENDER)),
        (36, op(PORTAL, Server, "GET /patients/{id}", PORTAL_PAGE, CALL_RECORDS)),
        (30, op(PORTAL, Server, "POST /appointments", PORTAL_PAGE, booking)),
        (24, op(PORTAL, Server, "POST /orders", PORTAL_PAGE, laboratory)),
    ]
}
