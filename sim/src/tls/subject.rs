//! The subject of a certificate, as MONGODB-X509 names a user by it: RFC 2253, the last part first.

/// The subject of a certificate in DER; nothing where there is none to be read.
pub(super) fn subject(certificate: &[u8]) -> Option<String> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    // The version may be left out; serial number, algorithm, issuer and validity come before the subject.
    if let Some((VERSION, _, rest)) = element(fields) {
        fields = rest;
    }
    for _ in 0..4 {
        (_, _, fields) = element(fields)?;
    }
    let (_, mut names, _) = element(fields)?;
    let mut parts = Vec::new();
    while let Some((_, set, rest)) = element(names) {
        parts.push(attributes(set)?);
        names = rest;
    }
    parts.reverse();
    (!parts.is_empty()).then(|| parts.join(","))
}

/// `[0] EXPLICIT`.
const VERSION: u8 = 0xa0;

/// The names that RFC 2253 and OpenSSL have for kinds of attributes.
const KINDS: [(&[u8], &str); 9] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
];

/// One part of a name: most have a single attribute.
fn attributes(mut set: &[u8]) -> Option<String> {
    let mut shown = Vec::new();
    while let Some((_, attribute, rest)) = element(set) {
        let (_, kind, value) = element(attribute)?;
        let (_, value, _) = element(value)?;
        let (_, kind) = KINDS.iter().find(|(oid, _)| *oid == kind)?;
        shown.push(format!("{kind}={}", escaped(std::str::from_utf8(value).ok()?)));
        set = rest;
    }
    Some(shown.join("+"))
}

fn escaped(value: &str) -> String {
    let mut out = String::new();
    for (at, letter) in value.char_indices() {
        let edge = (at == 0 && " #".contains(letter)) || (at + 1 == value.len() && letter == ' ');
        if edge || ",+\"\\<>;".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// Tag, content, and what comes after it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        // No certificate is longer than three bytes can say.
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length - 0x80))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    #[test]
    fn names_are_shown_as_servers_know_them() {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Clients, and others");
        params.distinguished_name.push(DnType::OrganizationalUnitName, "Drivers");
        params.distinguished_name.push(DnType::CommonName, "known");
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let der = certificate.der();
        assert_eq!(subject(der).unwrap(), "CN=known,OU=Drivers,O=Clients\\, and others");
        for length in 0..der.len() {
            subject(&der[..length]);
        }
    }
}
