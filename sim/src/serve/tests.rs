//! Real sockets, so real time: as little of it as will do.

use super::*;
use crate::testing::Echo;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

fn serve(count: usize) -> (Served<Echo>, Vec<SocketAddr>) {
    let listeners = Listeners::bind(count).unwrap();
    let addresses = listeners
        .addresses()
        .iter()
        .map(|a| a.to_string().to_socket_addrs().unwrap().next().unwrap())
        .collect();
    (listeners.serve((0..count).map(|_| Echo::default()).collect()), addresses)
}

fn open(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    stream
}

fn echo(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"echo")?;
    stream.read_exact(&mut [0; 4])
}

fn is_timeout(result: io::Result<()>) -> bool {
    matches!(result.unwrap_err().kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

#[test]
fn nodes_answer_on_real_sockets() {
    let (served, addresses) = serve(2);
    let mut streams: Vec<_> = addresses.iter().map(|address| open(*address)).collect();
    for stream in &mut streams {
        echo(stream).unwrap();
        let large = vec![7; 3_000_000];
        let mut back = vec![0; large.len()];
        let mut writing = stream.try_clone().unwrap();
        let sent = large.clone();
        let writer = std::thread::spawn(move || writing.write_all(&sent).unwrap());
        stream.read_exact(&mut back).unwrap();
        writer.join().unwrap();
        assert!(back == large);
        stream.write_all(b"bye").unwrap();
        let mut last = Vec::new();
        stream.read_to_end(&mut last).unwrap();
        assert_eq!(last, b"bye");
    }
    drop(served);
    assert!(TcpStream::connect(addresses[0]).is_err());
}

#[test]
fn a_killed_process_resets_and_comes_back_on_its_port() {
    let (served, addresses) = serve(1);
    let node = NodeId(0);
    let mut stream = open(addresses[0]);
    echo(&mut stream).unwrap();
    served.kill(node);
    assert_eq!(served.state(node), ProcessState::Down);
    assert_eq!(stream.read(&mut [0; 4]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(TcpStream::connect(addresses[0]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    served.start(node).unwrap();
    echo(&mut open(addresses[0])).unwrap();
    let mut stream = open(addresses[0]);
    served.terminate(node);
    assert_eq!(stream.read(&mut [0; 4]).unwrap(), 0);
    assert_eq!(served.operate(node, |node, _| node.log.last().cloned()).unwrap().unwrap(), "terminate");
}

#[test]
fn a_hung_process_takes_bytes_and_answers_later() {
    let (served, addresses) = serve(1);
    let mut stream = open(addresses[0]);
    echo(&mut stream).unwrap();
    served.hang(NodeId(0));
    assert!(is_timeout(echo(&mut stream)));
    let mut second = open(addresses[0]);
    assert!(is_timeout(echo(&mut second)));
    served.resume(NodeId(0));
    stream.read_exact(&mut [0; 4]).unwrap();
    second.read_exact(&mut [0; 4]).unwrap();
}

#[test]
fn clients_can_be_cut_off_and_reset() {
    let (served, addresses) = serve(1);
    let mut stream = open(addresses[0]);
    echo(&mut stream).unwrap();
    served.cut_clients(NodeId(0));
    assert!(is_timeout(echo(&mut stream)));
    served.heal();
    stream.read_exact(&mut [0; 4]).unwrap();
    served.reset_connections(NodeId(0));
    assert_eq!(stream.read(&mut [0; 4]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    echo(&mut open(addresses[0])).unwrap();
}

#[test]
fn nodes_tell_one_another_unless_they_are_cut_off() {
    let listeners = Listeners::bind(2).unwrap();
    let ticking = Echo::ticking(NodeId(1), Duration::from_millis(10));
    let served = listeners.serve(vec![ticking, Echo::default()]);
    let heard = |served: &Served<Echo>| served.operate(NodeId(1), |node, _| node.heard.len()).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert!(heard(&served) > 0);
    served.partition(&[NodeId(0)], &[NodeId(1)]);
    let before = heard(&served);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(heard(&served), before);
    served.heal();
    served.kill(NodeId(1));
    std::thread::sleep(Duration::from_millis(50));
    let log = served.operate(NodeId(0), |node, _| node.log.clone()).unwrap();
    assert!(log.iter().filter(|line| *line == "unreachable 1").count() >= 2, "{log:?}");
}
