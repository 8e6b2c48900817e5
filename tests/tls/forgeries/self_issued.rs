//! Certificates that name themselves as their issuer, which somebody else has signed.

use super::*;

fn with_the_issuers_key(params: &mut CertificateParams) {
    params.use_authority_key_identifier_extension = true;
}

#[test]
fn a_name_alone_makes_no_root() {
    let court = Court::open();
    let other = Authority::create("root");
    let cases: [(&str, Change<'_>, [Accepted; 2]); 2] = [
        ("that says whose key signed it", &with_the_issuers_key, [NEITHER; 2]),
        // OpenSSL takes its word for it.
        ("that does not", &|_| {}, [NEITHER, BOTH]),
    ];
    for (what, change, expected) in cases {
        let root = other.issue_authority(changed(authority("root"), change));
        let leaf = root.sign(&server());
        let file = &root.pem.certificate;
        court.judge_host(&format!("a self-issued root {what}"), &leaf, file, "localhost", expected);
        let both = format!("{file}{}", other.pem.certificate);
        court.judge(&format!("and who has signed it {what}"), &leaf, &both, BOTH);
    }
    let itself = other.issue_authority(changed(server(), &|params| {
        with_the_issuers_key(params);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }));
    court.judge("a server that vouches for nobody", &itself.pem, &itself.pem.certificate, NEITHER);
    let honest = Authority::with_exactly(changed(authority("root"), &with_the_issuers_key));
    court.judge("a root that names its own key", &honest.sign(&server()), &honest.pem.certificate, BOTH);
    court.close();
}
