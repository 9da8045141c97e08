//! The servers that need no script.

use crate::wire::{Header, OP_MSG};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub(super) fn http(mut client: &TcpStream) -> io::Result<()> {
    const BODY: &str = "<html><body><h1>400 Bad Request</h1></body></html>\n";
    let mut some = [0; 1024];
    if client.read(&mut some)? == 0 {
        return Ok(());
    }
    write!(
        client,
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{BODY}",
        BODY.len()
    )
}

pub(super) fn random_bytes(mut client: &TcpStream, seed: u64) -> io::Result<()> {
    let mut state = seed | 1;
    let mut block = [0; 4096];
    loop {
        for chunk in block.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            chunk.copy_from_slice(&state.to_le_bytes());
        }
        client.write_all(&block)?;
    }
}

pub(super) fn claiming_length(mut client: &TcpStream, length: i32) -> io::Result<()> {
    let mut request = [0; 16];
    client.read_exact(&mut request)?;
    let asked = Header::from_bytes(request).request_id;
    let header = Header { length, request_id: 1, response_to: asked, op_code: OP_MSG };
    client.write_all(&header.to_bytes())?;
    loop {
        client.write_all(&[0; 1024])?;
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(super) fn silent(mut client: &TcpStream) -> io::Result<()> {
    let mut sink = [0; 4096];
    while client.read(&mut sink)? > 0 {}
    Ok(())
}
