//! Where lists come from, and where not.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// Answers one connection.
async fn answering(answer: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(stream.read_u8().await.unwrap());
        }
        // The client may have seen enough before all is written.
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    });
    address
}

async fn read(from: &str) -> Result<Vec<String>, String> {
    let choice = ListChoice { form: None, services: Vec::new(), regions: Vec::new() };
    let read = choice.read(&list_source(from)?).await;
    let told = |fault| format!("{:#}", anyhow::Error::from(fault));
    read.map(|networks| networks.iter().map(ToString::to_string).collect()).map_err(told)
}

async fn fetch(head: &str, body: &str) -> Result<Vec<String>, String> {
    let address = answering(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    read(&format!("http://{address}/ips-v4")).await
}

#[tokio::test]
async fn a_list_is_fetched_from_where_it_was_said_and_whole() {
    assert_eq!(fetch("HTTP/1.1 200 OK", "192.0.2.0/24\n").await.unwrap(), ["192.0.2.0/24"]);
    // More than other documents may have.
    let long = format!("{}192.0.2.0/24\n", "# a comment\n".repeat(200_000));
    assert_eq!(fetch("HTTP/1.1 200 OK", &long).await.unwrap(), ["192.0.2.0/24"]);
    let told = fetch("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/", "").await.unwrap_err();
    assert!(told.contains("answered 302") && told.contains("redirects are not followed"), "{told}");
    let told = fetch("HTTP/1.1 200 OK", "<html>moved</html>").await.unwrap_err();
    assert!(told.contains("is not taken: line 1"), "{told}");
}

#[tokio::test]
async fn what_is_no_list_is_refused() {
    let told = read("http://192.0.2.1/list").await.unwrap_err();
    assert!(told.contains("in clear from another machine"), "{told}");
    for (source, part) in [("https://a:hunter2@b/", "leave them out"), ("https://", "like https://host/path")] {
        let told = list_source(source).unwrap_err();
        assert!(told.contains(part) && !told.contains("hunter2"), "{told}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("list.txt");
    let at = file.display().to_string();
    assert!(read(&at).await.unwrap_err().contains("can't be read"));
    std::fs::write(&file, [0xff, 0xfe]).unwrap();
    assert!(read(&at).await.unwrap_err().contains("is no text"));
    std::fs::write(&file, vec![b'#'; LARGEST as usize + 1]).unwrap();
    assert!(read(&at).await.unwrap_err().contains("has more than"));
    std::fs::write(&file, "2001:db8::/48").unwrap();
    assert_eq!(read(&at).await.unwrap(), ["2001:db8::/48"]);
    assert_eq!(list_source("-"), Ok(ListSource::StandardInput));
}
