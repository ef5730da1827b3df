//! Keys through the admin API, as fast as it acknowledges them.

use std::{
    error::Error,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

const CLIENTS: usize = 64;

pub fn make(
    port: u16,
    admin_key_file: &str,
    owner: &str,
    scope: &str,
    count: usize,
    file: &str,
) -> Result<(), Box<dyn Error>> {
    let admin_key = fs::read_to_string(admin_key_file)?;
    let body = format!(r#"{{"owner":"{owner}","scopes":["{scope}"]}}"#);
    let request = format!(
        "POST /admin/v1/api-keys HTTP/1.1\r\nhost: localhost:{port}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        admin_key.trim(),
        body.len()
    );
    let begun = AtomicUsize::new(0);
    let made = thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| client(port, &request, &begun, count))).collect();
        clients
            .into_iter()
            .map(|c| c.join().unwrap_or_else(|_| Err("a client panicked".into())))
            .collect::<Result<Vec<_>, String>>()
    })?;
    fs::write(file, made.concat().iter().map(|key| format!("{key}\n")).collect::<String>())?;
    Ok(())
}

fn client(port: u16, request: &str, begun: &AtomicUsize, count: usize) -> Result<Vec<String>, String> {
    let told = |error: std::io::Error| error.to_string();
    let mut out = TcpStream::connect(("127.0.0.1", port)).map_err(told)?;
    out.set_nodelay(true).map_err(told)?;
    let mut answers = BufReader::new(out.try_clone().map_err(told)?);
    let mut made = Vec::new();
    while begun.fetch_add(1, Ordering::Relaxed) < count {
        out.write_all(request.as_bytes()).map_err(told)?;
        let (mut status, mut length) = (String::new(), 0);
        answers.read_line(&mut status).map_err(told)?;
        loop {
            let mut line = String::new();
            answers.read_line(&mut line).map_err(told)?;
            match line.trim_end().split_once(": ") {
                None => break,
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().unwrap_or(0)
                }
                Some(_) => {}
            }
        }
        let mut body = vec![0; length];
        answers.read_exact(&mut body).map_err(told)?;
        let body = String::from_utf8_lossy(&body);
        let secret = body.split_once("\"secret\":\"").and_then(|(_, rest)| rest.split('"').next());
        match secret {
            Some(secret) if status.starts_with("HTTP/1.1 201") => made.push(secret.to_owned()),
            _ => return Err(format!("{}: {body}", status.trim())),
        }
    }
    Ok(made)
}
