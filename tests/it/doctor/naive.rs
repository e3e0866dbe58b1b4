//! A proxy that does all that the doctor looks for: believes every address, reads the first head alone, and passes on the rest.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::{INSIDE, LISTED, OUTSIDE};

/// Starts it in front of this upstream; its threads end with their connections.
pub fn start(upstream: SocketAddr) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(stream, upstream));
        }
    });
    port
}

fn serve(mut client: TcpStream, upstream: SocketAddr) {
    let _ = client.set_read_timeout(Some(Duration::from_secs(10)));
    let (mut bytes, mut more) = (Vec::new(), [0; 4096]);
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        match client.read(&mut more) {
            Ok(read) if read > 0 => bytes.extend_from_slice(&more[..read]),
            _ => return,
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let is_let_in = head.contains(INSIDE) || (head.contains(OUTSIDE) && head.contains(LISTED));
    if !is_let_in {
        let _ = client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        return;
    }
    let connection = head.lines().find_map(|line| line.strip_prefix("Connection: ")).unwrap_or_default().to_lowercase();
    let head = head + "\r\nX-Identity: somebody";
    let mut lines: Vec<String> = head.split("\r\n").map(str::to_owned).collect();
    lines.retain(|line| !line.starts_with("PROXY "));
    lines.retain(|line| !line.split_once(':').is_some_and(|(name, _)| connection.contains(&name.to_lowercase())));
    lines[0] = lines[0].replace("/a//b", "/a/b").replace("/a/../b", "/b").replace("%2e", ".");

    let mut server = TcpStream::connect(upstream).unwrap();
    server.write_all((lines.join("\r\n") + "\r\n\r\n").as_bytes()).unwrap();
    server.write_all(&bytes[end + 4..]).unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut server, &mut client);
}
