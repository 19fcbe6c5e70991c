//! Runs the program as a person would, in a folder of its own.

use std::path::Path;
use std::process::{Command, Output};

/// A folder with a small site in it.
pub(crate) struct Folder(pub(crate) tempfile::TempDir);

/// What a run came to.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) const SITE: &str = r#"environments:
  blue:
    otlp: { endpoint: "http://127.0.0.1:9" }
    query: { kind: jaeger, endpoint: "http://127.0.0.1:9" }
    configs: { collector: [collector.yaml] }
  green:
    otlp: { endpoint: "http://127.0.0.1:13" }
    query: { kind: jaeger, endpoint: "http://127.0.0.1:13" }
    configs: { collector: [collector.yaml] }
gateway:
  grpc: { endpoint: "127.0.0.1:0" }
  http: { endpoint: "127.0.0.1:0" }
control: { endpoint: "127.0.0.1:0" }
"#;

pub(crate) const ROLLOUT: &str = r#"name: next
from: blue
to: green
steps:
  - mirror: { percent: 5, duration: 1m }
  - weight: { percent: 100, duration: 1m }
  - promote: {}
  - finalize: {}
"#;

pub(crate) const COLLECTOR: &str = r#"receivers:
  otlp: { protocols: { grpc: { endpoint: "127.0.0.1:4317" } } }
exporters:
  otlp/jaeger: { endpoint: "127.0.0.1:14317", headers: { authorization: "Bearer hunter2" } }
service:
  pipelines:
    traces: { receivers: [otlp], exporters: [otlp/jaeger] }
"#;

impl Folder {
    /// With a site, a rollout spec and a Collector configuration.
    pub(crate) fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().expect("a temporary folder"));
        folder.write("crossfade.yaml", SITE);
        folder.write("rollout.yaml", ROLLOUT);
        folder.write("collector.yaml", COLLECTOR);
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("the folder takes files");
    }

    /// Runs `crossfade` with these arguments in the folder.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
            .args(arguments)
            .current_dir(self.path())
            .env("NO_COLOR", "1")
            .env_remove("CROSSFADE_CONFIG")
            .output()
            .expect("the program starts");
        self.ran(&output)
    }

    fn ran(&self, output: &Output) -> Ran {
        let folder = self.path().display().to_string();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&folder, "<folder>");
        Ran {
            code: output.status.code().expect("it was not killed"),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}
