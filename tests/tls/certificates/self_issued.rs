//! Certificates that name themselves as their issuer, signed by another authority.

use super::*;

fn with_the_issuers_key(params: &mut CertificateParams) {
    params.use_authority_key_identifier_extension = true;
}

#[test]
fn a_root_is_its_own_issuer_by_name() {
    let comparison = Comparison::start();
    let other = Authority::create("root");
    let cases: [(&str, Change<'_>, Expected); 2] = [
        (
            "that says whose key signed it",
            &with_the_issuers_key,
            differs(Difference::RootAsItIs, BOTH, NEITHER),
        ),
        ("that does not", &|_| {}, same(BOTH)),
    ];
    for (what, change, expected) in cases {
        let root = other.issue_authority(changed(authority("root"), change));
        let leaf = root.sign(&server());
        let file = &root.pem.certificate;
        comparison.check_host(&format!("a self-issued root {what}"), &leaf, file, "localhost", expected);
        let both = format!("{file}{}", other.pem.certificate);
        comparison.check(&format!("and its issuer {what}"), &leaf, &both, same(BOTH));
    }
    let itself = other.issue_authority(changed(server(), &|params| {
        with_the_issuers_key(params);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }));
    comparison.check(
        "an authority that is signed by another one, as a server",
        &itself.pem,
        &itself.pem.certificate,
        same(NEITHER),
    );
    let honest = Authority::with_exactly(changed(authority("root"), &with_the_issuers_key));
    comparison.check(
        "a root that names its own key",
        &honest.sign(&server()),
        &honest.pem.certificate,
        same(BOTH),
    );
    comparison.finish();
}
