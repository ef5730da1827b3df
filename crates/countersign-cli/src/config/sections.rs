//! The sections, and the document as a whole.

use super::{
    issuers,
    jwt::Tokens,
    listeners, observe, passwords,
    reader::{Field, Table},
    routes, sessions,
    settings::{
        AdminSettings, AuditSettings, CertificateSettings, GatewaySettings, IssuerSettings, Settings,
        StoreUrl, Timeouts, TlsSettings,
    },
    signing, upstreams, values,
};
use countersign_gateway::IdentityPreset;
use countersign_methods::{
    api_key::{config::ApiKeyConfig, record::Environment},
    jwt::config::JwtConfig,
    revocation::memory::ChangeMemory,
    signing::record::KeyPurpose,
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::Path,
    sync::Arc,
    time::Duration,
};

/// `None` where something that has no default could not be read; everything wrong is in the report.
pub(super) fn read(root: &Table<'_, '_>, folder: &Path) -> Option<Settings> {
    let gateway_section = root.section("gateway");
    // `None`: it could not be read, so that what hangs on it is not known
    let external = gateway_section.as_ref().and_then(|section| {
        routes::transpose(section.get("url").map(|field| field.parsed(values::resource)))
    });
    let gateway = match &gateway_section {
        Some(section) => gateway(section, external.clone(), folder),
        None => {
            if root.get("gateway").is_none() {
                root.problem_at("gateway", "is missing: it says where to listen");
            }
            None
        }
    };
    let admin = admin(root, folder);
    let signs_in = root.get("sessions").is_some();
    let issuer = root.section("issuer").map(|section| {
        let issuer = issuer(&section, signs_in, folder);
        section.finish();
        issuer
    });
    if signs_in && root.get("issuer").is_none() {
        root.problem_at("issuer.url", NO_ISSUER);
    }
    let store_url = store(root, folder);
    let observe = observe::read(root, folder);
    let egress = observe::egress(root, folder);
    let audit = root.section("audit").map_or_else(
        || Some(AuditSettings::default()),
        |section| {
            let audit = audit(&section);
            section.finish();
            audit
        },
    );
    one_each(
        root,
        gateway.as_ref(),
        [
            ("admin", admin.as_ref().map(|admin| admin.listen)),
            ("issuer", issuer.as_ref().and_then(Option::as_ref).map(|issuer| issuer.listen)),
            ("observe", observe.as_ref().and_then(|observe| observe.listen)),
        ],
    );
    let api_keys = root.section("api_keys").map_or_else(
        || Some(ApiKeyConfig::default()),
        |section| {
            let config = api_keys(&section);
            section.finish();
            config
        },
    );
    let passwords = passwords::read(root, folder, api_keys.as_ref().unwrap_or(&ApiKeyConfig::default()));
    let issuers = issuers::read(root);
    let signing = signing::read(root);
    let word = api_keys.as_ref().map_or_else(|| ApiKeyConfig::default().word, |keys| keys.word.clone());
    let sessions = sessions::read(root, &word);
    let plans = routes::plans(root);
    let upstreams = upstreams::upstreams(root, external.as_ref().and_then(Option::as_ref));
    let tokens = Tokens {
        sessions: signs_in,
        audiences: sessions.as_ref().and_then(|sessions| sessions.audiences()),
        // those that could not be read are there too
        issuers: issuers.as_ref().is_none_or(|issuers| !issuers.is_empty()),
    };
    let around = routes::Around { plans: &plans, upstreams: &upstreams, external: external.as_ref(), tokens };
    let routes = routes::routes(root, &around);
    let sessions = routes::transpose(sessions.map(|sessions| sessions.settle(routes.as_deref())));
    let issuer = routes::transpose(issuer);
    let jwt = (|| {
        let usual = JwtConfig::default();
        Some(JwtConfig {
            realm: api_keys.as_ref()?.realm.clone(),
            issuer: issuer.as_ref()?.as_ref().and_then(|issuer| issuer.url.as_deref().map(Arc::from)),
            algorithm: signing.as_ref()?.algorithm(KeyPurpose::Session),
            access: sessions.as_ref()?.as_ref().map_or(usual.access, |sessions| sessions.access),
        })
    })();
    Some(Settings {
        folder: folder.to_path_buf(),
        keyring: root.environment().keyring(folder),
        gateway: gateway?,
        admin: admin?,
        issuer: issuer?,
        observe: observe?,
        egress: egress?,
        audit: audit?,
        store_url: store_url?,
        api_keys: api_keys?,
        passwords: passwords?,
        issuers: issuers?,
        sessions: sessions?,
        signing: signing?,
        jwt: jwt?,
        plans: plans.into_iter().map(|(name, plan)| Some((name, plan?))).collect::<Option<_>>()?,
        upstreams: upstreams.into_iter().map(|(_, upstream)| upstream).collect::<Option<_>>()?,
        routes: routes?,
    })
}

/// A day at least: what was just done must be there when somebody asks who did it.
const SHORTEST_KEEP: Duration = Duration::from_secs(24 * 3600);

fn audit(section: &Table<'_, '_>) -> Option<AuditSettings> {
    let Some(field) = section.get("keep") else { return Some(AuditSettings::default()) };
    let keep = field.duration()?;
    if keep < SHORTEST_KEEP {
        field.problem("is shorter than a day; leave it out to keep everything");
        return None;
    }
    Some(AuditSettings { keep: Some(keep) })
}

/// Two faces at one address: which of them answers would be a matter of chance.
fn one_each(
    root: &Table<'_, '_>,
    gateway: Option<&GatewaySettings>,
    others: [(&'static str, Option<SocketAddr>); 3],
) {
    let mut taken: Vec<(&str, SocketAddr)> = Vec::new();
    taken.extend(gateway.iter().flat_map(|g| g.addresses()).map(|address| ("gateway", address)));
    for (section, listen) in others {
        let Some(listen) = listen else { continue };
        if let Some((who, _)) = taken.iter().find(|(_, other)| listeners::meet(*other, listen)) {
            let message = format!("`{listen}` is where `{who}` listens; give each its own port");
            match root.section(section).map(|table| (table.get("listen"), table)) {
                Some((Some(field), _)) => field.problem(message),
                Some((None, table)) => table.problem_at("listen", message),
                None => root.problem_at(section, message),
            }
        }
        taken.push((section, listen));
    }
}

/// Less than a poll or two would refuse in ordinary times, more is no longer an outage.
const BLIND_AFTER: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

const NO_ISSUER: &str = "is missing: it is the `iss` of every token of `[sessions]`; add `[issuer]` with `listen` and with \
                         `url`, where callers reach it, such as `https://auth.example.com`";

/// `external`: its URL, which was read already.
fn gateway(
    section: &Table<'_, '_>,
    external: Option<Option<Arc<str>>>,
    folder: &Path,
) -> Option<GatewaySettings> {
    let listeners = listeners::read(section, folder);
    let workers = section.get("workers").map(|field| field.integer(1..=1024));
    let identity = section.get("identity").map(|field| {
        field.choice(&[
            ("countersign", IdentityPreset::Countersign),
            ("oauth2-proxy", IdentityPreset::OAuth2Proxy),
            ("authelia", IdentityPreset::Authelia),
            ("consumer", IdentityPreset::Consumer),
        ])
    });
    let timeouts = section.section("timeouts").map_or_else(Timeouts::default, |table| {
        let read = |key| table.get(key).and_then(|field| field.duration());
        let listeners = listeners::terms::timeouts(&table).unwrap_or_default();
        let timeouts = Timeouts { connect: read("connect"), first_byte: read("first_byte"), listeners };
        table.finish();
        timeouts
    });
    let limits = section.get("limits").and_then(|field| listeners::terms::limits(&field));
    let revoke_exposed = section.get("revoke_exposed").map_or(Some(false), |field| field.boolean());
    let blind_after = section.get("blind_after").map_or(Some(ChangeMemory::BLIND_AFTER), |field| {
        let duration = field.duration()?;
        if !BLIND_AFTER.contains(&duration) {
            field.problem("must be from 1s to 1h");
            return None;
        }
        Some(duration)
    });
    section.finish();
    Some(GatewaySettings {
        url: external?,
        listeners: listeners?,
        workers: workers.flatten().and_then(|n| usize::try_from(n).ok()),
        identity: identity.unwrap_or(Some(IdentityPreset::Countersign))?,
        timeouts,
        limits: limits.unwrap_or_default(),
        revoke_exposed: revoke_exposed?,
        blind_after: blind_after?,
    })
}

fn admin(root: &Table<'_, '_>, folder: &Path) -> Option<AdminSettings> {
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 8445));
    let Some(section) = root.section("admin") else {
        let limit = AdminSettings::LIMIT;
        return Some(AdminSettings { listen: default, tls: None, hosts: Vec::new(), limit });
    };
    let listen = section.get("listen").map_or(Some(default), |field| field.parsed(values::address));
    let tls_field = section.get("tls");
    let tls = tls_field.as_ref().map(|field| tls(field, folder));
    let hosts = section.get("hosts").map(|field| field.list(values::one_host));
    let limit = section.get("limit").map_or(Some(AdminSettings::LIMIT), |field| {
        field.parsed(|text| {
            values::parse_limit(text).ok_or_else(|| format!("`{text}` is not a limit such as `6000/1m`"))
        })
    });
    // RULES 1.7: no key over plain HTTP, loopback aside
    if tls_field.is_none() && listen.is_some_and(|a| !a.ip().is_loopback()) {
        section.problem_at("tls", "is missing: beyond loopback operators' keys need TLS");
    }
    // RULES 3.8: whoever calls it by a name that is not listed is refused
    if hosts.is_none() && listen.is_some_and(|a| a.ip().is_unspecified()) {
        section.problem_at("hosts", "is missing: say under which names operators reach it");
    }
    section.finish();
    Some(AdminSettings {
        listen: listen?,
        tls: match tls {
            Some(tls) => Some(tls?),
            None => None,
        },
        hosts: hosts.unwrap_or_else(|| Some(Vec::new()))?,
        limit: limit?,
    })
}

/// `signs_in`: people do, so that what is signed names it.
fn issuer(section: &Table<'_, '_>, signs_in: bool, folder: &Path) -> Option<IssuerSettings> {
    let listen = section.require("listen").and_then(|field| field.parsed(values::address));
    let url = section.get("url").map(|field| field.parsed(values::resource));
    let tls_field = section.get("tls");
    let tls = tls_field.as_ref().map(|field| tls(field, folder));
    if tls_field.is_none() && listen.is_some_and(|a| !a.ip().is_loopback()) {
        section.problem_at("tls", "is missing: beyond loopback credentials need TLS");
    }
    if url.is_none() && signs_in {
        section.problem_at("url", NO_ISSUER);
    } else if url.is_none() && listen.is_some_and(|a| a.ip().is_unspecified()) {
        section.problem_at("url", "is missing: say where callers reach it, `https://auth.example.com`");
    }
    Some(IssuerSettings {
        listen: listen?,
        url: match url {
            Some(url) => Some(url?.to_string()),
            None => None,
        },
        tls: match tls {
            Some(tls) => Some(tls?),
            None => None,
        },
    })
}

/// `{ certificate = "..", key = ".." }`.
pub(super) fn tls(field: &Field<'_, '_>, folder: &Path) -> Option<TlsSettings> {
    let table = field.table()?;
    let certificate = certificate(&table, folder);
    client_certificates(&table);
    table.finish();
    Some(TlsSettings { certificates: vec![CertificateSettings { default: true, ..certificate? }] })
}

pub(super) fn client_certificates(table: &Table<'_, '_>) {
    if let Some(field) = table.get("client_certificates") {
        field.choice(&[("off", ())]);
    }
}

/// Files are looked at here, so that a wrong path is named with its line.
pub(super) fn certificate(table: &Table<'_, '_>, folder: &Path) -> Option<CertificateSettings> {
    let file = |key| {
        table.require(key).and_then(|field| {
            field.parsed(|text| {
                let path = folder.join(text);
                if path.is_file() { Ok(path) } else { Err(format!("there is no file `{}`", path.display())) }
            })
        })
    };
    let (certificate, key) = (file("certificate"), file("key"));
    Some(CertificateSettings { certificate: certificate?, key: key?, default: false })
}

fn store(root: &Table<'_, '_>, folder: &Path) -> Option<StoreUrl> {
    let url = match root.section("store") {
        Some(section) => {
            let url = section.require("url").and_then(|field| field.parsed(values::store_url));
            section.finish();
            url?
        }
        None => "sqlite:countersign.db".to_owned(),
    };
    Some(StoreUrl(match url.strip_prefix("sqlite:") {
        Some(file) => format!("sqlite:{}", folder.join(file).display()),
        None => url,
    }))
}

/// What a key from elsewhere begins with: nothing that is ours, and nothing that would draw a token to the room of keys
/// (RULES 1.4).
fn imported_prefix(text: &str, word: &str) -> Result<String, String> {
    let good = text.len() <= 32 && text.bytes().all(|b| b.is_ascii_graphic());
    if !good {
        return Err(format!("`{text}` is not at most 32 visible ASCII characters"));
    }
    let meet = |other: &str| text.starts_with(other) || other.starts_with(text);
    if !text.is_empty() && meet(&format!("{word}_")) {
        return Err(format!("`{text}`: what begins with `{word}_` is made here"));
    }
    if !text.is_empty() && meet("eyJ") {
        return Err(format!("`{text}`: what begins with `eyJ` is a JSON Web Token"));
    }
    Ok(text.to_owned())
}

fn api_keys(section: &Table<'_, '_>) -> Option<ApiKeyConfig> {
    let default = ApiKeyConfig::default();
    let word = section.get("word").map_or(Some(default.word), |field| {
        field.parsed(|text| {
            let good = (1..=16).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            good.then(|| text.to_owned()).ok_or_else(|| format!("`{text}` is not 1 to 16 of `a-z 0-9`"))
        })
    });
    let environment = section.get("environment").map_or(Some(default.environment), |field| {
        field.choice(&[("live", Environment::Live), ("test", Environment::Test)])
    });
    let lifetime = section.get("default_lifetime");
    let default_lifetime = lifetime.as_ref().map_or(Some(default.default_lifetime), Field::duration);
    let max_lifetime =
        section.get("max_lifetime").map_or(Some(default.max_lifetime), |field| field.duration());
    let allow_never = section.get("allow_never").map_or(Some(default.allow_never), |field| field.boolean());
    let realm = section.get("realm").map_or(Some(default.realm), |field| {
        field.parsed(|text| {
            let good = (1..=64).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'));
            good.then(|| text.to_owned()).ok_or_else(|| "must be 1 to 64 printable ASCII characters".into())
        })
    });
    let imported_prefixes =
        section.get("imported_prefixes").map_or(Some(default.imported_prefixes), |field| {
            field.list(|text| imported_prefix(text, word.as_deref().unwrap_or_default()))
        });
    if let (Some(default), Some(max)) = (default_lifetime, max_lifetime)
        && default > max
    {
        section.problem_at(
            "default_lifetime",
            format!(
                "`{}` is longer than `max_lifetime`, `{}`",
                values::show_duration(default),
                values::show_duration(max)
            ),
        );
    }
    Some(ApiKeyConfig {
        word: word?,
        environment: environment?,
        default_lifetime: default_lifetime?,
        max_lifetime: max_lifetime?,
        allow_never: allow_never?,
        realm: realm?,
        imported_prefixes: imported_prefixes?,
    })
}
