use super::*;
use alloc::vec::Vec;

/// The conversations of the authentication specification ("SCRAM-SHA-1" and "SCRAM-SHA-256", "Conversation").
struct Recorded {
    hash: Hash,
    nonce: &'static str,
    first: &'static str,
    proof: &'static str,
    last: &'static str,
}

const SHA1: Recorded = Recorded {
    hash: Hash::Sha1,
    nonce: "fyko+d2lbbFgONRv9qkxdawL",
    first: "r=fyko+d2lbbFgONRv9qkxdawLHo+Vgk7qvUOKUwuWLIWg4l/9SraGMHEE,s=rQ9ZY3MntBeuP3E1TDVC4w==,i=10000",
    proof: "c=biws,r=fyko+d2lbbFgONRv9qkxdawLHo+Vgk7qvUOKUwuWLIWg4l/9SraGMHEE,p=MC2T8BvbmWRckDw8oWl5IVghwCY=",
    last: "v=UMWeI25JD1yNYZRMpZ4VHvhZ9e0=",
};

const SHA256: Recorded = Recorded {
    hash: Hash::Sha256,
    nonce: "rOprNGfwEbeRWgbNEkqO",
    first: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    proof: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    last: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
};

impl Recorded {
    fn client(&self) -> Scram {
        Scram {
            hash: self.hash,
            first_bare: format!("n=user,r={}", self.nonce),
            nonce: self.nonce.into(),
            expect: Expect::ServerFirst,
        }
    }
}

fn take(scram: &mut Scram, message: &str) -> Result<Step, String> {
    scram.handle(message.as_bytes(), "user", "pencil")
}

/// Up to the client's proof.
fn proven(recorded: &Recorded) -> Scram {
    let mut scram = recorded.client();
    let Ok(Step::Derive(job)) = take(&mut scram, recorded.first) else { panic!("a key is needed") };
    assert_eq!(scram.client_final(&job.run()).unwrap().as_slice(), recorded.proof.as_bytes());
    scram
}

#[test]
fn the_specifications_conversations() {
    for recorded in [SHA1, SHA256] {
        assert_eq!(recorded.client().client_first(), format!("n,,n=user,r={}", recorded.nonce).into_bytes());
        let mut scram = proven(&recorded);
        assert!(matches!(take(&mut scram, recorded.last), Ok(Step::Proven)));
        assert!(take(&mut scram, recorded.last).is_err(), "nothing comes after the end");
    }
}

#[test]
fn names_are_escaped_and_nonces_are_text() {
    let scram = Scram::new(Hash::Sha256, "a,b=c", &[0xff; 24]);
    let nonce = "/".repeat(32);
    assert_eq!(scram.client_first(), format!("n,,n=a=2Cb=3Dc,r={nonce}").into_bytes());
}

fn refusal(recorded: &Recorded, first: &str) -> String {
    match take(&mut recorded.client(), first) {
        Err(reason) => reason,
        Ok(_) => panic!("taken: {first}"),
    }
}

/// Authentication specification, "Minimum iteration count".
#[test]
fn iteration_counts_out_of_range_are_refused() {
    for recorded in [SHA1, SHA256] {
        let with = |count: &str| format!("r={}x,s=rQ9Z,i={count}", recorded.nonce);
        for (count, why) in [
            ("4095", "less than 4096"),
            ("1", "less than 4096"),
            ("0", "less than 4096"),
            ("10000001", "more than 10000000"),
            ("99999999999999999999999999", "more than 10000000"),
            ("-1", "no number"),
            ("+5000", "no number"),
            ("", "no number"),
            ("5000x", "no number"),
        ] {
            assert!(refusal(&recorded, &with(count)).contains(why), "{count}");
        }
        for count in ["4096", "10000000"] {
            assert!(matches!(take(&mut recorded.client(), &with(count)), Ok(Step::Derive(_))));
        }
    }
}

#[test]
fn a_server_that_does_not_follow_the_protocol_is_refused() {
    let nonce = SHA256.nonce;
    for (first, why) in [
        (String::new(), "no nonce"),
        ("e=other-error".into(), "no nonce"),
        (format!("m=ext,r={nonce}x,s=rQ9Z,i=5000"), "no nonce"),
        (format!("r={nonce}x,i=5000"), "no salt"),
        (format!("r={nonce}x,s=rQ9Z"), "no iteration count"),
        // It must add to the nonce, and to this one.
        (format!("r={nonce},s=rQ9Z,i=5000"), "does not continue"),
        (format!("r=x{nonce}x,s=rQ9Z,i=5000"), "does not continue"),
        (format!("r={nonce}x,s=,i=5000"), "salt is empty"),
        (format!("r={nonce}x,s=!,i=5000"), "no Base64"),
        (format!("r={nonce}x,s={},i=5000", "rQ9Z".repeat(1100)), "bytes"),
    ] {
        let reason = refusal(&SHA256, &first);
        assert!(reason.contains(why), "{first}: {reason}");
    }
    assert!(SHA256.client().handle(&[0xff, 0xfe], "user", "pencil").is_err());
}

#[test]
fn a_server_that_does_not_know_the_password_is_refused() {
    let wrong = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=";
    for last in
        [wrong, "v=", "v=!", "e=other-error", "", SHA1.last, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95A=="]
    {
        let reason = take(&mut proven(&SHA256), last).err().unwrap_or_else(|| panic!("taken: {last}"));
        assert!(reason.contains("server"), "{last}: {reason}");
    }
}

#[test]
fn any_bytes_give_an_error_and_never_a_panic() {
    let mut rng = crate::Rng::new(9);
    for _ in 0..2000 {
        let mut message: Vec<u8> = SHA256.first.as_bytes().to_vec();
        for _ in 0..rng.below(4) {
            let at = rng.below(message.len());
            match rng.below(3) {
                0 => message[at] = rng.next_u64() as u8,
                1 => message.truncate(at),
                _ => message.insert(at, rng.next_u64() as u8),
            }
            if message.is_empty() {
                break;
            }
        }
        let mut scram = SHA256.client();
        let _ = scram.handle(&message, "user", "pencil");
        let mut scram = proven_cheaply();
        let _ = scram.handle(&message, "user", "pencil");
    }
}

fn proven_cheaply() -> Scram {
    Scram { expect: Expect::ServerFinal { signature: Zeroizing::new(alloc::vec![7; 32]) }, ..SHA256.client() }
}
