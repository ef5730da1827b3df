use super::*;

fn manager(name: &str) -> ServiceManager {
    ServiceManager::of(&Environment::new([(SOCKET.to_owned(), name.to_owned())]))
}

fn heard(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 256];
    let n = socket.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..n].to_vec()).unwrap()
}

fn whole_life(socket: &UnixDatagram, manager: &ServiceManager) {
    manager.ready(1);
    assert_eq!(heard(socket), "READY=1\nSTATUS=generation 1 of the configuration is in use");
    manager.reloading();
    let reloading = heard(socket);
    let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
    assert!(micros.parse::<u64>().unwrap() > 0);
    manager.stopping();
    assert!(heard(socket).starts_with("STOPPING=1\n"));
}

#[test]
fn a_socket_with_a_path_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    whole_life(&socket, &manager(path.to_str().unwrap()));
}

#[test]
fn a_socket_with_an_abstract_name_is_told() {
    let name = format!("countersign-test-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    whole_life(&socket, &manager(&format!("@{name}")));
}

#[test]
fn where_nobody_listens_nothing_happens() {
    let silent = ServiceManager::of(&Environment::default());
    silent.ready(1);
    assert!(silent.told.is_none());
    for name in ["", "relative", &format!("/{}", "x".repeat(200)), &format!("@{}", "x".repeat(200))] {
        assert!(manager(name).told.is_none(), "{name}");
    }
    manager("/nowhere/at/all").ready(1);
}

#[test]
fn a_manager_that_does_not_read_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let _socket = UnixDatagram::bind(&path).unwrap();
    let manager = manager(path.to_str().unwrap());
    // far beyond what a queue of datagrams holds
    for _ in 0..10_000 {
        manager.stopping();
    }
}
