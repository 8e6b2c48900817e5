//! The operator mode of NATS: accounts and users that are signed.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

use super::nats::JETSTREAM;

/// The key that signs accounts.
pub(crate) struct Operator(KeyPair);

/// The key that signs users.
pub(crate) struct Account {
    name: String,
    key: KeyPair,
}

/// The key of a user.
pub(crate) struct User(KeyPair);

impl Operator {
    pub(crate) fn create() -> Operator {
        Operator(KeyPair::new_operator())
    }

    /// Returns the lines of a server that has one account, beside the one of the system.
    pub(crate) fn config(&self, account: &Account) -> String {
        let system = Account::create("system");
        let operator = signed(&self.0, &self.0, "operator", json!({ "type": "operator" }));
        let [id, system_id] = [account, &system].map(|account| account.key.public_key());
        // An account with JetStream cannot be that of the system.
        let limits = json!({ "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1 });
        let (account, system) = (account.signed(self, limits), system.signed(self, json!({})));
        format!(
            "{JETSTREAM}\noperator: {operator}\nresolver: MEMORY\nsystem_account: {system_id}\n\
             resolver_preload: {{ {id}: {account}, {system_id}: {system} }}"
        )
    }
}

impl Account {
    pub(crate) fn create(name: &str) -> Account {
        Account { name: name.to_owned(), key: KeyPair::new_account() }
    }

    fn signed(&self, operator: &Operator, mut limits: Value) -> String {
        for limit in ["subs", "data", "payload", "imports", "exports", "conn", "leaf"] {
            limits[limit] = json!(-1);
        }
        limits["wildcards"] = json!(true);
        let claims = json!({ "type": "account", "limits": limits });
        signed(&operator.0, &self.key, &self.name, claims)
    }
}

impl User {
    pub(crate) fn create() -> User {
        User(KeyPair::new_user())
    }

    /// Returns the secret.
    pub(crate) fn seed(&self) -> String {
        self.0.seed().expect("the key has one")
    }

    /// Returns the content of a file with the credentials of a user of an account.
    pub(crate) fn credentials(&self, account: &Account) -> String {
        let claims = json!({ "type": "user", "subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {} });
        let (token, seed) = (signed(&account.key, &self.0, "mover", claims), self.seed());
        format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    }
}

/// Returns claims about a key as a signed token.
fn signed(issuer: &KeyPair, subject: &KeyPair, name: &str, mut claims: Value) -> String {
    claims["version"] = json!(2);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let (issuer_id, id) = (issuer.public_key(), subject.public_key());
    let body = json!({ "jti": id, "iat": now, "iss": issuer_id, "sub": id, "name": name, "nats": claims });
    let [header, body] = [header, body].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes()));
    let signed = format!("{header}.{body}");
    let signature = issuer.sign(signed.as_bytes()).expect("the key has a seed");
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
}
