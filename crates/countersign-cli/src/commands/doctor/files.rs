//! Files and the disk that they are on: who may read what is secret, who may change what is believed, is there room?

use super::{Findings, Patient};
use crate::{descriptors::Shares, place::ADMIN_KEY};
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

const AREA: &str = "files";
/// Below this something fills up soon: the audit trail grows with every change.
const ROOM: u64 = 1 << 30;

pub(super) fn look(patient: &Patient<'_>, findings: &mut Findings) {
    let settings = patient.settings;
    let mut secrets: Vec<PathBuf> = vec![settings.keyring.path.clone(), patient.place.file(ADMIN_KEY)];
    let listeners = settings.gateway.listeners.iter().filter_map(|listener| listener.tls.as_ref());
    let control = [settings.admin.tls.as_ref(), settings.issuer.as_ref().and_then(|i| i.tls.as_ref())];
    for tls in listeners.chain(control.into_iter().flatten()) {
        secrets.extend(tls.certificates.iter().map(|files| files.key.clone()));
    }
    let database = settings.store_url.0.strip_prefix("sqlite:").map(PathBuf::from);
    secrets.extend(database.clone());
    secrets.sort();
    secrets.dedup();
    let mut kept = 0;
    for file in secrets.iter().filter(|file| file.exists()) {
        // systemd and containers hand out secrets that a group may read
        let others = if settings.keyring.given && *file == settings.keyring.path { 0o037 } else { 0o077 };
        match std::fs::metadata(file) {
            Ok(about) if about.mode() & others != 0 => {
                let mode = about.mode() & 0o777;
                findings.problem(
                    AREA,
                    format!(
                        "others on this machine can read or write `{}` (mode {mode:04o})",
                        file.display()
                    ),
                    format!(
                        "`chmod 600 {}`, and let it belong to the user that `serve` runs as; if others had access, \
                         replace what is in it",
                        file.display()
                    ),
                );
            }
            Ok(_) => kept += 1,
            Err(error) => findings.problem(
                AREA,
                format!("`{}` cannot be looked at: {error}", file.display()),
                "run this as the user that Countersign runs as",
            ),
        }
    }
    findings.good(AREA, format!("{kept} files with secrets in them are their owner's alone"));
    believed(patient, findings);
    room(&patient.settings.folder, findings);
    if let Some(folder) = database.as_deref().and_then(Path::parent)
        && folder != patient.settings.folder
    {
        room(folder, findings);
    }
    descriptors(findings);
}

/// Whoever may write the configuration decides who gets in.
fn believed(patient: &Patient<'_>, findings: &mut Findings) {
    for path in [&patient.place.config, &patient.settings.folder] {
        let Ok(about) = std::fs::metadata(path) else { continue };
        // a sticky folder keeps others from replacing what is not theirs
        let sticky = about.is_dir() && about.mode() & 0o1000 != 0;
        if about.mode() & 0o002 != 0 && !sticky {
            findings.problem(
                AREA,
                format!("everybody on this machine can write `{}`", path.display()),
                format!(
                    "`chmod o-w {}`: whoever can change the configuration can let anybody in",
                    path.display()
                ),
            );
        }
    }
}

fn room(folder: &Path, findings: &mut Findings) {
    let Ok(disk) = rustix::fs::statvfs(folder) else { return };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let shown = format!("{} MiB are free where `{}` is", free >> 20, folder.display());
    let todo =
        "make room: when the disk is full nothing can be issued, and after that only revocations are written";
    if disk.f_files > 0 && disk.f_favail == 0 {
        findings.problem("disk", format!("no file can be made where `{}` is", folder.display()), todo);
    } else if free < ROOM / 16 {
        findings.problem("disk", shown, todo);
    } else if free < ROOM {
        findings.warning("disk", shown, todo);
    } else {
        findings.good("disk", shown);
    }
}

fn descriptors(findings: &mut Findings) {
    use rustix::process::{Resource, getrlimit};
    // `serve` raises its soft limit to the hard one
    let limit = getrlimit(Resource::Nofile).maximum;
    let shares = Shares::of(limit);
    if shares.gateway < 1024 {
        findings.warning(
            "limits",
            format!(
                "with {} file descriptors the gateway holds {} callers",
                limit.unwrap_or(0),
                shares.gateway
            ),
            "raise the hard limit: `LimitNOFILE=65536` in a systemd unit, `ulimit -Hn` elsewhere",
        );
    } else {
        findings.good("limits", format!("file descriptors for {} callers", shares.gateway.min(1 << 20)));
    }
}
