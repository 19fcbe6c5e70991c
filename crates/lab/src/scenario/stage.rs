//! Where a story is played: its environments with what they recorded before, and the files that its site is made of.

use super::{Past, Scenario, Side};
use crate::clock;
use crate::environment::{Authority, Environment, Identity, Setup, StartError, Store};
use crate::traffic::{TrafficConfig, past};
use crossfade_routing::UnixNanos;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// A file of a scenario: its path below the story's folder, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioFile {
    /// Relative, with `/`.
    pub path: &'static str,
    /// Whole.
    pub text: String,
    /// Whether nobody else may read it: a key.
    pub private: bool,
}

impl ScenarioFile {
    /// One that everybody may read.
    pub fn new(path: &'static str, text: impl Into<String>) -> ScenarioFile {
        ScenarioFile { path, text: text.into(), private: false }
    }
}

/// The site's configuration, within the story's folder.
pub const SITE_PATH: &str = "crossfade.yaml";
/// The rollout spec, within the story's folder.
pub const ROLLOUT_PATH: &str = "rollout.yaml";

const BLUE_COLLECTOR_PATH: &str = "blue/collector.yaml";
const GREEN_COLLECTOR_PATH: &str = "green/collector.yaml";
const CA_PATH: &str = "tls/ca.pem";
const CERTIFICATE_PATH: &str = "tls/crossfade.pem";
const KEY_PATH: &str = "tls/crossfade-key.pem";

/// Two environments that run, and the files of a site that uses them.
#[derive(Debug)]
pub struct Stage {
    /// When it was set: all times *ago* count back from then.
    pub set_at: UnixNanos,
    /// The environment that serves.
    pub blue: Environment,
    /// The candidate.
    pub green: Environment,
    /// The files that a gateway and a control plane are started from: site, rollout, Collector configurations, keys. Every
    /// listener has port 0, and everything is kept in the folder itself.
    pub files: Vec<ScenarioFile>,
}

impl Stage {
    /// Starts the environments, with their faults and their past, and writes down where they are.
    ///
    /// # Errors
    /// A port that cannot be opened, or TLS that cannot be set up.
    pub async fn set(scenario: &Scenario) -> Result<Stage, StartError> {
        let authority = Arc::new(Authority::new("crossfade demo")?);
        let seed = scenario.traffic.seed;
        let blue = start(&scenario.blue, seed, &authority).await?;
        let green = start(&scenario.green, seed.wrapping_add(1), &authority).await?;
        let now = clock::now();
        for (nth, past) in (0..).zip(&scenario.past) {
            // Each has traces of its own.
            let traffic = TrafficConfig {
                seed: seed.wrapping_add(nth),
                business: past.business.unwrap_or(scenario.traffic.business),
                ..scenario.traffic.clone()
            };
            remember(past, &traffic, now, &blue.store(), &green.store());
        }
        let mut files = vec![
            ScenarioFile::new(SITE_PATH, site(scenario, &blue, &green)),
            ScenarioFile::new(ROLLOUT_PATH, scenario.rollout),
            ScenarioFile::new(BLUE_COLLECTOR_PATH, scenario.blue.collector),
            ScenarioFile::new(GREEN_COLLECTOR_PATH, scenario.green.collector),
        ];
        if [&scenario.blue, &scenario.green].into_iter().any(|side| side.tls.is_some()) {
            let Identity { certificate, key } = authority.client("crossfade")?;
            files.push(ScenarioFile::new(CA_PATH, authority.certificate()));
            files.push(ScenarioFile::new(CERTIFICATE_PATH, certificate));
            files.push(ScenarioFile { private: true, ..ScenarioFile::new(KEY_PATH, key) });
        }
        Ok(Stage { set_at: now, blue, green, files })
    }
}

async fn start(side: &Side, seed: u64, authority: &Arc<Authority>) -> Result<Environment, StartError> {
    let setup = Setup {
        seed,
        tls: side.tls.map(|clients| (Arc::clone(authority), clients)),
        query_token: side.query_token.map(str::to_owned),
        redacts: side.redacts,
    };
    let environment = Environment::build(setup).await?;
    environment.set_faults(side.faults.clone());
    Ok(environment)
}

/// Stores traces of before where they are to be.
fn remember(past: &Past, traffic: &TrafficConfig, now: UnixNanos, blue: &Store, green: &Store) {
    let ago = |range: &Range<Duration>| now.minus(range.start).0..now.minus(range.end).0;
    let hole = past.hole.as_ref().map(ago);
    for (began, mut request) in self::past(traffic, ago(&past.began), past.traces) {
        mark(&mut request, past.marks);
        let is_kept = past.in_green && hole.as_ref().is_none_or(|hole| !hole.contains(&began.0));
        for (store, has) in [(blue, past.in_blue), (green, is_kept)] {
            if has {
                store
                    .insert(request.clone(), began)
                    .expect("traffic of this crate has ids of the right length");
            }
        }
    }
    if let Some(unindexed) = &past.unindexed {
        green.leave_out_of_index(ago(unindexed));
    }
}

fn mark(request: &mut ExportTraceServiceRequest, marks: &[(&str, &str)]) {
    let attribute = |(key, text): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue((*text).to_owned())) }),
        ..KeyValue::default()
    };
    for resource in request.resource_spans.iter_mut().filter_map(|spans| spans.resource.as_mut()) {
        resource.attributes.extend(marks.iter().map(attribute));
    }
}

fn site(scenario: &Scenario, blue: &Environment, green: &Environment) -> String {
    let blue = section("blue", &scenario.blue, blue, BLUE_COLLECTOR_PATH);
    let green = section("green", &scenario.green, green, GREEN_COLLECTOR_PATH);
    format!(
        r#"# Two simulated environments on this machine; they are gone when the demo ends.
environments:
{blue}{green}gateway:
  grpc: {{ endpoint: "127.0.0.1:0" }}
  http: {{ endpoint: "127.0.0.1:0" }}
  grace: 5s
control: {{ endpoint: "127.0.0.1:0" }}
audit: {{ origin: crossfade.demo/lab }}
data_directory: .
"#
    )
}

/// An environment as the site's configuration has it.
fn section(name: &str, side: &Side, environment: &Environment, collector: &str) -> String {
    let (scheme, otlp_tls, query_tls) = match side.tls {
        None => ("http", String::new(), String::new()),
        Some(_) => (
            "https",
            format!(", tls: {{ ca_file: {CA_PATH}, cert_file: {CERTIFICATE_PATH}, key_file: {KEY_PATH} }}"),
            format!(", tls: {{ ca_file: {CA_PATH} }}"),
        ),
    };
    let token = side
        .query_token
        .map_or_else(String::new, |token| format!(r#", headers: {{ Authorization: "Bearer {token}" }}"#));
    let mut text = format!("  {name}:\n");
    let (grpc, query) = (environment.grpc_addr(), environment.query_addr());
    let _ = writeln!(text, r#"    otlp: {{ endpoint: "{scheme}://{grpc}"{otlp_tls} }}"#);
    let _ =
        writeln!(text, r#"    query: {{ kind: jaeger, endpoint: "{scheme}://{query}"{token}{query_tls} }}"#);
    let _ = writeln!(text, "    configs: {{ collector: [{collector}] }}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::{Clients, Search};

    const HOUR: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn the_files_name_the_environments_that_run() {
        let stage = Stage::set(&Scenario::named("bad").unwrap()).await.unwrap();
        let site = &stage.files.iter().find(|file| file.path == SITE_PATH).unwrap().text;
        crossfade_yaml::parse(site, SITE_PATH).unwrap();
        for environment in [&stage.blue, &stage.green] {
            assert!(site.contains(&format!(r#"endpoint: "http://{}""#, environment.grpc_addr())));
            assert!(site.contains(&format!(r#"endpoint: "http://{}""#, environment.query_addr())));
        }
        for path in [BLUE_COLLECTOR_PATH, GREEN_COLLECTOR_PATH] {
            assert!(site.contains(path) && stage.files.iter().any(|file| file.path == path));
        }
        assert!(stage.files.iter().all(|file| !file.private), "no key without TLS");
    }

    #[tokio::test]
    async fn a_site_of_environments_with_tls_brings_keys_and_tokens() {
        let bad = Scenario::named("bad").unwrap();
        let green = Side {
            tls: Some(Clients::WithCertificate),
            query_token: Some("open-sesame"),
            ..bad.green.clone()
        };
        let stage = Stage::set(&Scenario { green, ..bad }).await.unwrap();
        let site = &stage.files[0].text;
        crossfade_yaml::parse(site, SITE_PATH).unwrap();
        assert!(
            site.contains(&format!(r#"endpoint: "https://{}", tls: {{ ca_file"#, stage.green.grpc_addr()))
        );
        assert!(site.contains(r#"Authorization: "Bearer open-sesame""#), "{site}");
        let keys: Vec<&str> = stage.files.iter().filter(|f| f.private).map(|f| f.path).collect();
        assert_eq!(keys, [KEY_PATH]);
    }

    /// Scenario: a past of a day, of which green lacks four hours and does not find two others; and a test run in green alone.
    /// Guarantee: each is where it is to be, and found as it is to be.
    #[test]
    fn the_past_is_where_it_is_to_be() {
        let traffic = TrafficConfig::default();
        let now = UnixNanos(1_800_000_000_000_000_000);
        let (blue, green) = (Store::default(), Store::default());
        let past = Past {
            hole: Some(20 * HOUR..16 * HOUR),
            unindexed: Some(6 * HOUR..4 * HOUR),
            ..Past::whole(24 * HOUR..HOUR, 460)
        };
        remember(&past, &traffic, now, &blue, &green);
        let found = |store: &Store, from: u32, until: u32| {
            let started = now.minus(from * HOUR).0..now.minus(until * HOUR).0;
            let attributes = Default::default();
            store
                .find_ids(&Search { service: None, operation: None, attributes, started, limit: 1_000 })
                .len()
        };
        assert_eq!(found(&blue, 24, 1), 460);
        assert!(found(&blue, 20, 16) > 40 && found(&green, 20, 16) == 0);
        assert!(found(&blue, 6, 4) > 20 && found(&green, 6, 4) == 0);
        assert_eq!(green.trace_count(), 460 - found(&blue, 20, 16) as u64);
        assert_eq!(found(&green, 16, 6), found(&blue, 16, 6));
        let marks = &[("deployment.environment.name", "test")];
        let tests = Past { in_blue: false, marks, ..Past::whole(HOUR..HOUR / 2, 20) };
        let traffic = TrafficConfig { seed: 43, ..traffic };
        remember(&tests, &traffic, now, &blue, &green);
        let attributes = [("deployment.environment.name".to_owned(), "test".to_owned())].into();
        let started = now.minus(HOUR).0..now.0;
        let search = Search { service: None, operation: None, attributes, started, limit: 1_000 };
        assert_eq!((blue.find_ids(&search).len(), green.find_ids(&search).len()), (0, 20));
    }
}
