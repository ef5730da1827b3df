//! `countersign dev`: everything in one folder, on loopback only, in one command.

use super::{
    Common,
    serve::{Signals, control_runtime, until_stopped},
};
use crate::{
    compose::{self, DEVELOPMENT, Rooms, World, store_failed},
    config::{Environment, FOLDER_NAME, LogFormat, Settings},
    echo::Echo,
    logging::{self, Reader},
    operator,
    output::{Exit, Failure, say},
    place::{ADMIN_KEY, AUTHORITY, Place},
    private_file,
    reload::{Load, Reloader},
    service_manager::ServiceManager,
};
use clap::Args;
use countersign_core::{
    ScopeSet, Timestamp,
    principal::{PrincipalKind, PrincipalName},
};
use countersign_crypto::{Entropy, x509::development::DevelopmentAuthority};
use countersign_methods::principal::{
    caller::Caller,
    issue::{NewPrincipal, PrincipalError},
    store::PrincipalStore,
};
use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
};

#[derive(Debug, Args)]
#[command(before_help = "Examples:
  countersign dev --upstream http://127.0.0.1:3000
  countersign dev --demo
  countersign dev --demo --dir /tmp/try --listen 127.0.0.1:9443")]
pub struct Dev {
    /// The API to protect
    #[arg(long, value_name = "URL", conflicts_with = "demo")]
    upstream: Option<url::Url>,
    /// Protect a built-in API that answers with what reached it
    #[arg(long)]
    demo: bool,
    /// Where the gateway listens: loopback [default: 127.0.0.1:8443, and [::1]:8443 where there is one]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where the admin API listens: loopback [default: 127.0.0.1:8445]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
    /// Where `POST /revoke` listens: loopback [default: 127.0.0.1:8444]
    #[arg(long, value_name = "ADDRESS")]
    issuer_listen: Option<SocketAddr>,
}

const DEMO: &str = "demo";
const DEMO_SCOPES: &str = "orders:read orders:write";
const IGNORE: &str = "# made by `countersign dev`: keys and certificates of this machine only\n*\n";
const CONFIG: &str = include_str!("countersign.toml");
const AUTHORITY_KEY: &str = "ca.key";
const CERTIFICATE: &str = "server.pem";
const CERTIFICATE_KEY: &str = "server.key";
const GATEWAY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);
const ISSUER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8444);
const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8445);
/// A root with less than this left is replaced.
const SOON: i64 = 24 * 3600;

pub fn run(dev: Dev, common: &Common) -> Result<Exit, Failure> {
    if common.config.is_some() {
        return Err(Failure::usage("`dev` keeps everything in one folder; name it with `--dir`"));
    }
    let said = [dev.listen, dev.admin_listen, dev.issuer_listen];
    said.into_iter().flatten().try_for_each(loopback)?;
    let folder = common.dir.clone().unwrap_or_else(|| PathBuf::from(FOLDER_NAME));
    let place = Place::of_folder(&folder);
    if !dev.demo && dev.upstream.is_none() && !place.config.exists() {
        return Err(Failure::usage("nothing to protect yet")
            .todo("say `--upstream URL`, or `--demo` for a built-in echo API"));
    }
    let environment = Environment::of_process();
    let _log = logging::start(&environment, Reader::Developer, LogFormat::Auto);
    control_runtime()?.block_on(serve(dev, place, environment))
}

async fn serve(dev: Dev, place: Place, environment: Environment) -> Result<Exit, Failure> {
    let mut stop = Signals::new()?;
    let world = World::of_machine();
    let echo = if dev.demo { Some(Echo::start(written_port(&place, &environment)).await?) } else { None };
    let upstream = match (&echo, &dev.upstream) {
        (Some(echo), _) => Some(echo.url()),
        (None, Some(url)) => Some(url.as_str().trim_end_matches('/').to_owned()),
        (None, None) => None,
    };
    prepare(&dev, &place, upstream.as_deref(), &world)?;
    let manager = ServiceManager::of(&environment);
    let again = place.clone();
    let load: Load = Arc::new(move || {
        let (settings, sources) = again.read(&environment);
        (settings.and_then(|settings| on_loopback(&dev, &again, settings, upstream.as_deref())), sources)
    });
    let (settings, sources) = load();
    let settings = settings?;
    let rooms = Rooms::open(&settings, world).await?;
    furnish(&rooms, &place).await?;
    let running = compose::start(&settings, rooms).await.map_err(|failure| elsewhere(failure, &place))?;
    greet(&settings, &place, echo.is_some());
    until_stopped(running, &mut stop, Reloader::new(load, &sources), &manager).await;
    if let Some(echo) = echo {
        echo.stop().await;
    }
    Ok(Exit::Ok)
}

/// Of the upstream, as the last time wrote it down: whoever reads the file finds the echo API there. 0: none.
fn written_port(place: &Place, environment: &Environment) -> u16 {
    let settings = place.config.exists().then(|| place.read(environment).0.ok()).flatten();
    let url = settings.as_ref().and_then(|settings| settings.upstreams.first()?.urls.first());
    url.filter(|url| url.host_str() == Some("127.0.0.1")).and_then(url::Url::port).unwrap_or_default()
}

/// The folder, its certificates and its configuration; whatever is there already stays.
fn prepare(dev: &Dev, place: &Place, upstream: Option<&str>, world: &World) -> Result<(), Failure> {
    private_file::folder(&place.folder)?;
    let ignore = place.file(".gitignore");
    if !ignore.exists() {
        private_file::write_public(&ignore, IGNORE.as_bytes())?;
    }
    certify(place, world.clock.now(), &*world.entropy)?;
    if !place.config.exists() {
        untaken(dev)?;
        let listen = match dev.listen {
            Some(listen) => format!("\"{listen}\""),
            None => "[\"127.0.0.1:8443\", \"[::1]:8443\"]".to_owned(),
        };
        let text = CONFIG
            .replace("\"LISTEN\"", &listen)
            .replace("GATEWAY_URL", &localhost(dev.listen.unwrap_or(GATEWAY)))
            .replace("ISSUER_URL", &localhost(dev.issuer_listen.unwrap_or(ISSUER)))
            .replace("ADMIN", &dev.admin_listen.unwrap_or(ADMIN).to_string())
            .replace("ISSUER", &dev.issuer_listen.unwrap_or(ISSUER).to_string())
            .replace("UPSTREAM", upstream.unwrap_or_default());
        // what we write must itself be good, whatever was asked for
        let checked = crate::config::parse(&place.config, &text, &Environment::default());
        if let Err(error) = checked {
            let reasons: Vec<_> = error.problems.into_iter().map(|p| p.message).collect();
            return Err(Failure::usage(reasons.join("; ")));
        }
        private_file::write(&place.config, text.as_bytes())?;
    }
    Ok(())
}

/// As the certificate names it.
fn localhost(address: SocketAddr) -> String {
    format!("https://localhost:{}", address.port())
}

/// Before the addresses are written down: where one is taken, the options must still be able to say another.
fn untaken(dev: &Dev) -> Result<(), Failure> {
    let said = [
        dev.listen.unwrap_or(GATEWAY),
        dev.admin_listen.unwrap_or(ADMIN),
        dev.issuer_listen.unwrap_or(ISSUER),
    ];
    for address in said {
        if TcpListener::bind(address).is_err_and(|e| e.kind() == ErrorKind::AddrInUse) {
            return Err(Failure::new(Exit::Conflict, format!("{address} is taken by another program")).todo(
                "is Countersign running already? stop it, or choose ports of your own: `--listen 127.0.0.1:9443 \
                 --issuer-listen 127.0.0.1:9444 --admin-listen 127.0.0.1:9445`",
            ));
        }
    }
    Ok(())
}

/// Once the addresses are written down, they are changed there.
fn elsewhere(failure: Failure, place: &Place) -> Failure {
    if failure.exit != Exit::Conflict {
        return failure;
    }
    let file = place.config.display();
    failure.todo(format!("is Countersign running already? stop it, or change the address in `{file}`"))
}

/// A root that can speak for localhost only, for 30 days (RULES 4.4), and a server certificate below it.
fn certify(place: &Place, now: Timestamp, entropy: &dyn Entropy) -> Result<(), Failure> {
    let failed = |e| Failure::failed(format!("cannot make a development certificate: {e}"));
    let now = now.as_seconds();
    let kept = std::fs::read_to_string(place.file(AUTHORITY)).ok();
    let kept = kept.zip(private_file::read(&place.file(AUTHORITY_KEY))?);
    let kept = kept.and_then(|(certificate, key)| DevelopmentAuthority::load(&certificate, &key).ok());
    let kept = kept.filter(|authority| authority.not_after() > now + SOON);
    let served = place.file(CERTIFICATE).is_file() && place.file(CERTIFICATE_KEY).is_file();
    if kept.is_some() && served {
        return Ok(());
    }
    let authority = match kept {
        Some(authority) => authority,
        None => {
            let made = DevelopmentAuthority::generate(now, entropy).map_err(failed)?;
            private_file::write(&place.file(AUTHORITY_KEY), made.key().expose().as_bytes())?;
            private_file::write_public(&place.file(AUTHORITY), made.certificate().as_bytes())?;
            made
        }
    };
    let server = authority.issue_server(now, entropy).map_err(failed)?;
    private_file::write(&place.file(CERTIFICATE_KEY), server.key.expose().as_bytes())?;
    private_file::write_public(&place.file(CERTIFICATE), server.certificate.as_bytes())
}

/// What the folder's file says, with this run's upstream, and on loopback only (RULES 4.4).
fn on_loopback(
    dev: &Dev,
    place: &Place,
    mut settings: Settings,
    upstream: Option<&str>,
) -> Result<Settings, Failure> {
    let said = [
        (dev.listen, settings.gateway.addresses().any(|address| Some(address) == dev.listen)),
        (dev.admin_listen, dev.admin_listen == Some(settings.admin.listen)),
        (dev.issuer_listen, dev.issuer_listen == settings.issuer.as_ref().map(|issuer| issuer.listen)),
    ];
    // the other commands read the file: an address that only this process knew would mislead them
    if let Some((Some(address), _)) = said.into_iter().find(|(address, same)| address.is_some() && !same) {
        return Err(Failure::new(
            Exit::Conflict,
            format!("`{}` does not say {address}", place.config.display()),
        )
        .todo(
            "addresses are taken from the file once it is there: change them in it, or leave the option out",
        ));
    }
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        let six = |address: SocketAddr| address.ip() == IpAddr::V6(Ipv6Addr::LOCALHOST);
        settings.gateway.listeners.retain(|listener| !listener.listen.tcp().is_some_and(six));
    }
    let issuer = settings.issuer.as_ref().map(|issuer| issuer.listen);
    let all = settings.gateway.addresses().chain([settings.admin.listen]).chain(issuer);
    let all = all.chain(settings.observe.listen);
    all.into_iter().try_for_each(loopback)?;
    if let Some(upstream) = upstream {
        let Some(first) = settings.upstreams.first_mut() else {
            return Err(Failure::failed(format!("`{}` has no upstream", place.config.display())));
        };
        let url = url::Url::parse(upstream).map_err(|e| Failure::usage(format!("`{upstream}`: {e}")))?;
        first.urls = vec![url];
    }
    Ok(settings)
}

/// RULES 4.4
fn loopback(address: SocketAddr) -> Result<(), Failure> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    Err(Failure::usage(format!("`dev` listens on loopback only, and {address} is not"))
        .todo("`countersign serve` is for others; its configuration begins with `countersign config init`"))
}

/// The mark, the service `demo` and the operator's key.
async fn furnish(rooms: &Rooms, place: &Place) -> Result<(), Failure> {
    let now = rooms.now();
    if !rooms.is_development().await? {
        let operators = PrincipalStore::operators(&*rooms.store).await.map_err(store_failed)?;
        if !operators.is_empty() {
            return Err(Failure::new(
                Exit::Conflict,
                format!("the store of `{}` is in use and was not made by `dev`", place.folder.display()),
            )
            .todo("name another folder with `--dir`, or serve this one with `countersign serve`"));
        }
        rooms.store.set_meta(DEVELOPMENT, "1").await.map_err(store_failed)?;
    }
    let name = PrincipalName::parse(DEMO).ok_or_else(|| Failure::failed("`demo` is no name"))?;
    let found = PrincipalStore::find_by_name(&*rooms.store, &name).await.map_err(store_failed)?;
    if found.is_none() {
        let scopes = ScopeSet::parse(DEMO_SCOPES).unwrap_or_default();
        let new = NewPrincipal { kind: PrincipalKind::Service, name, scopes, groups: Vec::new() };
        match rooms.principals.create(new, &Caller::host(), now).await {
            Ok(_) | Err(PrincipalError::NameTaken) => {}
            Err(e) => return Err(Failure::failed(format!("cannot make the service `{DEMO}`: {e}"))),
        }
    }
    operator::renew(rooms, &place.file(ADMIN_KEY), now).await
}

fn greet(settings: &Settings, place: &Place, demo: bool) {
    let port = settings.gateway.addresses().next().map_or(8443, |address| address.port());
    let first = settings.upstreams.first().and_then(|upstream| upstream.urls.first());
    let upstream = first.map(|url| url.as_str().trim_end_matches('/').to_owned());
    let upstream = if demo { "the built-in echo API".to_owned() } else { upstream.unwrap_or_default() };
    let folder = place.folder.display();
    // `--dir` again only where the commands would not find the folder by themselves
    let dir = if place.folder == Path::new(FOLDER_NAME) { String::new() } else { format!(" --dir {folder}") };
    let issuer = settings.issuer.as_ref().map_or_else(String::new, |issuer| {
        format!("  revoke    https://localhost:{}/revoke\n", issuer.listen.port())
    });
    let sign_in = match settings.sessions {
        Some(_) => format!("  sign in   https://localhost:{port}/.countersign/session/login\n"),
        None => String::new(),
    };
    say(&format!(
        "Countersign for development: only this machine can reach it. Data in `{folder}`.\n\n\
         \x20 gateway   https://localhost:{port}  ->  {upstream}\n\
         {sign_in}  admin     https://localhost:{}\n{issuer}\n\
         Next, in a second terminal, in the same folder:\n\n\
         \x20 countersign key create demo --scope orders:read --header{dir} > key\n\
         \x20 curl --cacert {folder}/{AUTHORITY} -H @key https://localhost:{port}/orders/1\n",
        settings.admin.listen.port(),
    ));
}

#[cfg(test)]
mod tests;
