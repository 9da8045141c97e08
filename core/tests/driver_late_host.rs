//! A host that takes its time: what the driver promised is not what it would promise now.

use quorate_core::driver::{
    Begin, ConnectionId, Driver, DriverOptions, Operation, Outcome, Output, Role, Ticket,
};
use quorate_core::error::{ErrorKind, IoErrorKind};
use quorate_core::raw::{DocWriter, RawDoc};
use quorate_core::retry::Retry;
use quorate_core::selection::SelectionCriteria;
use quorate_core::{Duration, Error, HelloReply, Instant, ServerAddress};

const NOW: Instant = Instant::ZERO;

fn standalone() -> HelloReply {
    let mut bytes = Vec::new();
    let doc =
        DocWriter::new(&mut bytes).i32("ok", 1).bool("isWritablePrimary", true).i32("maxWireVersion", 17);
    doc.i32("logicalSessionTimeoutMinutes", 30).finish();
    HelloReply::parse(RawDoc::new(&bytes).unwrap()).unwrap()
}

fn operation() -> Operation {
    Operation::new(SelectionCriteria::Writable, Retry::Never)
}

fn outputs(driver: &mut Driver) -> Vec<Output> {
    core::iter::from_fn(|| driver.poll_output()).collect()
}

fn connects(outputs: &[Output]) -> Vec<ConnectionId> {
    let connects = outputs.iter().filter_map(|output| match output {
        Output::Connect { connection, .. } => Some(*connection),
        _ => None,
    });
    connects.collect()
}

fn closes(outputs: &[Output], id: ConnectionId) -> usize {
    outputs.iter().filter(|o| matches!(o, Output::Close { connection } if *connection == id)).count()
}

/// A driver that knows its server.
fn driver() -> Driver {
    let mut driver = Driver::new(NOW, DriverOptions::new(vec![ServerAddress::default()]), 1);
    let monitor = connects(&outputs(&mut driver))[0];
    driver.handle_established(NOW, monitor, &standalone(), Duration::from_millis(1));
    outputs(&mut driver);
    driver
}

/// An operation that was woken, and the connection it has not fetched yet.
fn promised(driver: &mut Driver) -> (Operation, Ticket, ConnectionId) {
    let mut operation = operation();
    let Begin::Wait(ticket) = driver.begin(NOW, &mut operation) else { panic!() };
    let connection = connects(&outputs(driver))[0];
    assert!(matches!(connection.role, Role::Pool(_)));
    driver.handle_established(NOW, connection, &standalone(), Duration::from_millis(1));
    assert!(matches!(outputs(driver)[..], [Output::Wake { ticket: woken }] if woken == ticket));
    (operation, ticket, connection)
}

#[test]
fn a_connection_cleared_before_it_is_fetched_is_not_used() {
    let mut driver = driver();
    let (mut running, _, _) = promised(&mut driver);
    let Begin::Go(_) = driver.resume(NOW, &mut running) else { panic!() };
    let (mut late, _, connection) = promised(&mut driver);
    let reset = Error::io(IoErrorKind::Reset, "reset");
    let _ = driver.finish(NOW, &mut running, Outcome::Failed(reset));
    // The server is Unknown now: it waits for a better one, as if it had never been promised anything.
    assert!(matches!(driver.resume(NOW, &mut late), Begin::Wait(_)));
    assert_eq!(closes(&outputs(&mut driver), connection), 1);
    assert_eq!(driver.operation_count(&ServerAddress::default()), Some(0));
    assert_eq!(late.attempts(), 1);
}

#[test]
fn a_connection_of_a_server_that_left_is_closed() {
    for abandon in [false, true] {
        let mut driver = driver();
        let (mut late, _, connection) = promised(&mut driver);
        driver.shutdown(NOW);
        if abandon {
            driver.abandon(NOW, &mut late);
        } else {
            let Begin::Fail(error) = driver.resume(NOW, &mut late) else { panic!() };
            assert!(matches!(*error.kind, ErrorKind::Shutdown), "{error}");
        }
        assert_eq!(closes(&outputs(&mut driver), connection), 1);
        assert_eq!((driver.waiting(), driver.poll_timeout()), (0, None));
    }
}

#[test]
fn an_abandoned_promise_goes_back_to_the_pool() {
    let mut driver = driver();
    let (mut late, _, connection) = promised(&mut driver);
    driver.abandon(NOW, &mut late);
    let Begin::Go(checkout) = driver.begin(NOW, &mut operation()) else { panic!() };
    assert_eq!(checkout.connection, connection);
    assert!(outputs(&mut driver).is_empty());
}

#[test]
fn a_call_before_the_wake_says_to_wait() {
    let mut driver = driver();
    let mut operation = operation();
    let Begin::Wait(ticket) = driver.begin(NOW, &mut operation) else { panic!() };
    assert!(matches!(driver.resume(NOW, &mut operation), Begin::Wait(same) if same == ticket));
    driver.abandon(NOW, &mut operation);
    driver.abandon(NOW, &mut operation);
    assert_eq!(driver.waiting(), 0);
}
