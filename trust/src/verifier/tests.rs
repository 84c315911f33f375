use std::time::Duration;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};

use super::*;

const NAME: &str = "api.example";
const YEAR_2030: u64 = 1_893_456_000;

/// A certificate for [`NAME`] from 2025 to 2035, changed so.
fn params(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2035, 1, 1));
    change(&mut params);
    params
}

fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> Certificate {
    params(change).self_signed(&KeyPair::generate().unwrap()).unwrap()
}

fn ca(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

/// An authority, and what it signed.
fn signed() -> (Certificate, Certificate) {
    let (key, of_ca) = (
        KeyPair::generate().unwrap(),
        params(|it| {
            ca(it);
            it.distinguished_name.push(rcgen::DnType::CommonName, "authority");
        }),
    );
    let authority = of_ca.self_signed(&key).unwrap();
    let leaf = params(|_| ()).signed_by(&KeyPair::generate().unwrap(), &Issuer::new(of_ca, key)).unwrap();
    (authority, leaf)
}

fn verify(roots: &[&Certificate], shown: &Certificate, name: &str, at: u64) -> Result<(), Error> {
    let roots: Vec<_> = roots.iter().map(|root| root.der().to_vec()).collect();
    let verifier = Verifier::new(&roots, None).unwrap();
    let (name, at) =
        (ServerName::try_from(name.to_owned()).unwrap(), UnixTime::since_unix_epoch(Duration::from_secs(at)));
    verifier.verify_server_cert(shown.der(), &[], &name, &[], at).map(drop)
}

fn why(result: Result<(), Error>) -> CertificateError {
    match result {
        Err(Error::InvalidCertificate(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_servers_own_certificate_needs_no_issuer() {
    let (authority, leaf) = signed();
    for shown in [&self_signed(ca), &self_signed(|_| ()), &leaf] {
        assert_eq!(verify(&[shown], shown, NAME, YEAR_2030), Ok(()));
        assert_eq!(verify(&[&authority, shown], shown, NAME, YEAR_2030), Ok(()), "one of several");
    }
    assert_eq!(verify(&[&authority], &leaf, NAME, YEAR_2030), Ok(()), "and an authority's is enough");
}

#[test]
fn it_must_be_that_very_one() {
    let (mine, other) = (self_signed(ca), self_signed(ca));
    let (_, leaf) = signed();
    assert_eq!(why(verify(&[&mine], &other, NAME, YEAR_2030)), CertificateError::UnknownIssuer);
    assert_eq!(why(verify(&[&mine], &leaf, NAME, YEAR_2030)), CertificateError::UnknownIssuer);
    assert_eq!(why(verify(&[&leaf], &signed().1, NAME, YEAR_2030)), CertificateError::UnknownIssuer);
}

#[test]
fn name_time_and_purpose_are_looked_at_all_the_same() {
    const TEN_YEARS: u64 = 10 * 365 * 24 * 3600;
    for shown in [&self_signed(ca), &self_signed(|_| ()), &signed().1] {
        let at = |name, time| why(verify(&[shown], shown, name, time));
        assert!(matches!(at("other.example", YEAR_2030), CertificateError::NotValidForNameContext { .. }));
        assert_eq!(at(NAME, YEAR_2030 + TEN_YEARS), CertificateError::Expired);
        assert_eq!(at(NAME, YEAR_2030 - TEN_YEARS), CertificateError::NotValidYet);
    }
    let of_clients = self_signed(|it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    assert_eq!(why(verify(&[&of_clients], &of_clients, NAME, YEAR_2030)), CertificateError::InvalidPurpose);
    let of_both = self_signed(|it| {
        it.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    });
    assert_eq!(verify(&[&of_both], &of_both, NAME, YEAR_2030), Ok(()));
}

#[test]
fn a_file_is_followed_and_what_it_said_last_holds_while_it_says_nothing() {
    let (before, after) = (self_signed(ca), self_signed(ca));
    let file = std::env::temp_dir().join(format!("byway-trust-{}.crt", std::process::id()));
    fs::write(&file, before.pem()).unwrap();
    let verifier = Verifier::new(&[before.der().to_vec()], Some(file.clone())).unwrap();
    let takes = |shown: &Certificate| {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(YEAR_2030));
        verifier.verify_server_cert(shown.der(), &[], &ServerName::try_from(NAME).unwrap(), &[], at).is_ok()
    };
    assert!(takes(&before) && !takes(&after));
    fs::write(&file, after.pem()).unwrap();
    assert!(takes(&after) && !takes(&before));
    for text in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA"] {
        fs::write(&file, text).unwrap();
        assert!(takes(&after), "{text:?}");
    }
    fs::remove_file(&file).unwrap();
    assert!(takes(&after) && !takes(&before));
}
