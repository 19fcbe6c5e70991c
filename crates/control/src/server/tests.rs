//! How it ends on a disk that fails.

use std::fs;

use crossfade_audit::keys;

use super::*;
use crate::journal::faulty::{Faults, FaultyDisk};
use crate::journal::place;

const SITE: &str = "
environments:
  blue: { otlp: { endpoint: 'http://127.0.0.1:9' } }
  green: { otlp: { endpoint: 'http://127.0.0.1:10' } }
control: { endpoint: '127.0.0.1:0' }
";

async fn on(disk: &FaultyDisk, folder: &std::path::Path) -> Control {
    let file = folder.join("crossfade.yaml");
    fs::write(&file, SITE).unwrap();
    let site = Site::load(&file, &|_| None).unwrap();
    crate::init(&site, &"blue".parse().unwrap(), clock::now()).unwrap();
    let key = keys::load(&site.key_file).unwrap();
    let opened = Journal::open_on(Arc::new(disk.clone()), &place(&site), key, clock::now()).unwrap();
    let access = Access::load(&site.token_file, &site.gateway.token_file).unwrap();
    Control::start_on(opened, access, ControlConfig::new(site, "0.0.0-test"), Router::new()).await.unwrap()
}

/// Scenario: the disk under the log hangs, or is full, when the control plane is to end.
/// Guarantee: it ends all the same, and says that its last entries are not on record.
#[tokio::test(flavor = "multi_thread")]
async fn it_ends_whatever_the_disk_does() {
    for faults in [Faults { hangs: true, ..Faults::NONE }, Faults { full: true, ..Faults::NONE }] {
        let (disk, folder) = (FaultyDisk::default(), tempfile::tempdir().unwrap());
        let control = on(&disk, folder.path()).await;
        disk.set(faults);
        let patience = Duration::from_secs(60);
        let recorded = tokio::time::timeout(patience, control.stop()).await.expect("it ends");
        assert!(!recorded, "{faults:?}");
        // For the thread that waits for it.
        disk.set(Faults::NONE);
    }
    let (disk, folder) = (FaultyDisk::default(), tempfile::tempdir().unwrap());
    assert!(on(&disk, folder.path()).await.stop().await, "and on a disk that is well it is on record");
}
