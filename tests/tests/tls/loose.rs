//! The options that check less, each as much as its name says.

use crate::hosts::{assert_told, at, good, other_host, self_signed, trusting, use_it};
use crate::support::TestRuntime;

crate::on_every_runtime!(any_certificate, any_host_name, neither_is_checked);

async fn any_certificate<R: TestRuntime>() {
    for server in [self_signed(), other_host(), good()] {
        let options = at(&server.address(), "tls=true&tlsAllowInvalidCertificates=true").await;
        use_it::<R>(options).await.expect("any will do");
        let off = trusting(server, "&tlsAllowInvalidCertificates=false").await;
        assert_eq!(use_it::<R>(off).await.is_ok(), std::ptr::eq(server, good()));
    }
}

async fn any_host_name<R: TestRuntime>() {
    use_it::<R>(trusting(other_host(), "&tlsAllowInvalidHostnames=true").await).await.expect("any will do");
    // The authority is checked all the same.
    let refused = trusting(self_signed(), "&tlsAllowInvalidHostnames=true").await;
    assert_told(use_it::<R>(refused).await, &["is not signed by a CA in tlsCAFile"]);
    let other = other_host().certificates().other_ca();
    let more = format!("tls=true&tlsCAFile={other}&tlsAllowInvalidHostnames=true");
    let refused = at(&other_host().address(), &more).await;
    assert_told(use_it::<R>(refused).await, &["is not signed by a CA in tlsCAFile"]);
}

async fn neither_is_checked<R: TestRuntime>() {
    for server in [self_signed(), other_host()] {
        let options = at(&server.address(), "tls=true&tlsInsecure=true").await;
        use_it::<R>(options).await.expect("any will do");
    }
}
