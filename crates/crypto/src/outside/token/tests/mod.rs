use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaKeyPair,
};
use serde_json::json;

use super::*;
use crate::outside::KeyUse;

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://issuer.test";

/// The issuer's own hand: one key of each kind.
struct Hand {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

fn b64(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

impl Hand {
    fn new() -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            p384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
            ed: Ed25519KeyPair::generate().unwrap(),
        }
    }

    fn jwks(&self) -> Value {
        let public = self.rsa.public_key();
        let (n, e) = (
            public.modulus().big_endian_without_leading_zero(),
            public.exponent().big_endian_without_leading_zero(),
        );
        let point = |public: &[u8]| {
            let (x, y) = public[1..].split_at((public.len() - 1) / 2);
            (b64(x), b64(y))
        };
        let (p256, p384) = (
            point(self.p256.public_key().as_ref()),
            point(self.p384.public_key().as_ref()),
        );
        json!({ "keys": [
            { "kty": "RSA", "kid": "rsa", "n": b64(n), "e": b64(e) },
            { "kty": "RSA", "kid": "rs256", "alg": "RS256", "use": "sig", "key_ops": ["verify"], "n": b64(n), "e": b64(e) },
            { "kty": "EC", "kid": "p256", "crv": "P-256", "x": p256.0, "y": p256.1 },
            { "kty": "EC", "kid": "p384", "crv": "P-384", "x": p384.0, "y": p384.1 },
            { "kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": b64(self.ed.public_key().as_ref()) },
        ] })
    }

    fn keys(&self) -> KeySet {
        KeySet::parse(self.jwks().to_string().as_bytes(), KeyUse::Signatures).unwrap()
    }

    fn signature(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |encoding| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(encoding, &random, message, &mut signature).unwrap();
            signature
        };
        match algorithm {
            "RS384" => rsa(&RSA_PKCS1_SHA384),
            "RS512" => rsa(&RSA_PKCS1_SHA512),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "PS384" => rsa(&RSA_PSS_SHA384),
            "PS512" => rsa(&RSA_PSS_SHA512),
            "ES256" => self.p256.sign(&random, message).unwrap().as_ref().to_vec(),
            "ES384" => self.p384.sign(&random, message).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed.sign(message).as_ref().to_vec(),
            _ => rsa(&RSA_PKCS1_SHA256),
        }
    }

    /// Signed as the header says, or as RS256 where it says nothing that we could.
    fn token(&self, header: &Value, claims: &Value) -> String {
        self.raw(header, &header.to_string(), &claims.to_string())
    }

    fn raw(&self, header: &Value, head: &str, claims: &str) -> String {
        let message = format!("{}.{}", b64(head.as_bytes()), b64(claims.as_bytes()));
        let algorithm = header["alg"].as_str().unwrap_or_default();
        let signature = self.signature(algorithm, message.as_bytes());
        format!("{message}.{}", b64(&signature))
    }
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "sub": "me", "aud": "ours", "iat": NOW, "nbf": NOW, "exp": NOW + 300 })
}

fn header() -> Value {
    json!({ "alg": "RS256", "kid": "rsa", "typ": "JWT" })
}

fn with(mut value: Value, name: &str, new: Value) -> Value {
    value[name] = new;
    value
}

fn without(mut value: Value, name: &str) -> Value {
    value.as_object_mut().unwrap().remove(name);
    value
}

fn verify_at(keys: &KeySet, token: &str, now: i64) -> Result<OutsideClaims, TokenFault> {
    let audiences = ["ours".to_owned()];
    let expected = Expected {
        issuer: Some(ISSUER),
        audiences: &audiences,
        algorithms: &Algorithm::ALL,
        max_lifetime: 3600,
    };
    let now = Time(now * 1_000_000);
    Presented::parse(token)?
        .verify(keys, &expected, now)
        .map(|verified| verified.0)
}

fn verify(keys: &KeySet, token: &str) -> Result<OutsideClaims, TokenFault> {
    verify_at(keys, token, NOW)
}

#[test]
fn each_algorithm_holds_with_a_key_of_its_kind_and_no_other() {
    let hand = Hand::new();
    let keys = hand.keys();
    for algorithm in Algorithm::ALL.map(Algorithm::name) {
        for key in ["rsa", "rs256", "p256", "p384", "ed"] {
            let token = hand.token(&json!({ "alg": algorithm, "kid": key }), &claims());
            let fits = match key {
                "rsa" => algorithm.starts_with("RS") || algorithm.starts_with("PS"),
                "rs256" => algorithm == "RS256",
                "p256" => algorithm == "ES256",
                "p384" => algorithm == "ES384",
                _ => algorithm == "EdDSA",
            };
            assert_eq!(verify(&keys, &token).is_ok(), fits, "{algorithm} {key}");
        }
    }
    let only = Expected {
        issuer: Some(ISSUER),
        audiences: &["ours".to_owned()],
        algorithms: &[Algorithm::Es256],
        max_lifetime: 3600,
    };
    let token = hand.token(&header(), &claims());
    let verified = Presented::parse(&token)
        .unwrap()
        .verify(&keys, &only, Time(NOW * 1_000_000));
    assert_eq!(verified.unwrap_err(), TokenFault::Algorithm);
}

#[test]
fn what_is_good_is_taken_as_it_stands() {
    let hand = Hand::new();
    let keys = hand.keys();
    let more = with(claims(), "aud", json!(["other", "ours"]));
    let found = verify(&keys, &hand.token(&header(), &with(more, "ref", json!("main")))).unwrap();
    assert_eq!((found.sub.as_str(), found.exp), ("me", NOW + 300));
    assert_eq!(
        (found.aud, found.all["ref"].clone()),
        (vec!["other".to_owned(), "ours".to_owned()], json!("main"))
    );
    let least = without(without(without(claims(), "iat"), "nbf"), "iss");
    assert_eq!(
        verify(&keys, &hand.token(&without(header(), "typ"), &least)).err(),
        Some(TokenFault::Issuer)
    );
    let least = with(least, "iss", json!(ISSUER));
    assert!(verify(&keys, &hand.token(&without(header(), "typ"), &least)).is_ok());
    assert!(
        verify(&keys, &hand.token(&with(header(), "x5t", json!("abc")), &claims())).is_ok(),
        "a mere name"
    );
    let token = hand.token(&header(), &claims());
    for (at, fault) in [
        (NOW + 329, None),
        (NOW + 330, Some(TokenFault::Expired)),
        (NOW - 30, None),
        (NOW - 31, Some(TokenFault::NotYet)),
    ] {
        assert_eq!(verify_at(&keys, &token, at).err(), fault, "{at}");
    }
}

#[test]
fn claims_of_another_type_are_no_claims() {
    let hand = Hand::new();
    let keys = hand.keys();
    let others = [
        json!(null),
        json!(true),
        json!({}),
        json!([]),
        json!([[]]),
        json!(1.5),
        json!(""),
        json!("x"),
        json!(7),
    ];
    for name in ["iss", "sub", "aud", "exp", "nbf", "iat", "nonce"] {
        for other in &others {
            let fits = match name {
                "sub" => other == "x",
                "nonce" => other == "x" || other == "",
                // A whole number is a time, long past.
                "nbf" => other == 7,
                _ => false,
            };
            let token = hand.token(&header(), &with(claims(), name, other.clone()));
            assert_eq!(verify(&keys, &token).is_ok(), fits, "{name} {other}");
        }
    }
    for name in ["iss", "sub", "aud", "exp"] {
        assert!(
            verify(&keys, &hand.token(&header(), &without(claims(), name))).is_err(),
            "{name}"
        );
    }
    for exp in [i64::MIN, i64::MAX, -1, 0, NOW - 30, NOW + 3601] {
        assert!(
            verify(&keys, &hand.token(&header(), &with(claims(), "exp", json!(exp)))).is_err(),
            "{exp}"
        );
    }
    for time in [i64::MAX, NOW + 31] {
        for name in ["nbf", "iat"] {
            assert!(
                verify(&keys, &hand.token(&header(), &with(claims(), name, json!(time)))).is_err(),
                "{name} {time}"
            );
        }
    }
    let endless = with(without(claims(), "iat"), "exp", json!(NOW + 3601));
    assert_eq!(
        verify(&keys, &hand.token(&header(), &endless)).err(),
        Some(TokenFault::LongLived)
    );
    let long = with(with(claims(), "iat", json!(i64::MIN)), "exp", json!(NOW + 1));
    assert_eq!(
        verify(&keys, &hand.token(&header(), &long)).err(),
        Some(TokenFault::LongLived)
    );
    for issuer in [
        "https://issuer.test/",
        "HTTPS://issuer.test",
        "https://issuer.tes",
        " https://issuer.test",
    ] {
        let token = hand.token(&header(), &with(claims(), "iss", json!(issuer)));
        assert_eq!(verify(&keys, &token).err(), Some(TokenFault::Issuer), "{issuer}");
    }
    for audience in [json!("Ours"), json!("ours "), json!(["other"]), json!([]), json!("our")] {
        let token = hand.token(&header(), &with(claims(), "aud", audience.clone()));
        assert_eq!(verify(&keys, &token).err(), Some(TokenFault::Audience), "{audience}");
    }
    let subject = with(claims(), "sub", json!("x".repeat(1025)));
    assert_eq!(
        verify(&keys, &hand.token(&header(), &subject)).err(),
        Some(TokenFault::Claims)
    );
}

#[test]
fn a_header_says_how_it_was_signed_and_nothing_that_leads_elsewhere() {
    let hand = Hand::new();
    let keys = hand.keys();
    for name in REFUSED {
        let token = hand.token(&with(header(), name, json!(["x"])), &claims());
        assert_eq!(verify(&keys, &token).err(), Some(TokenFault::Header), "{name}");
    }
    for (name, value, fault) in [
        ("alg", json!("none"), TokenFault::Algorithm),
        ("alg", json!("None"), TokenFault::Algorithm),
        ("alg", json!(""), TokenFault::Algorithm),
        ("alg", json!("HS256"), TokenFault::Algorithm),
        ("alg", json!("HS384"), TokenFault::Algorithm),
        ("alg", json!("HS512"), TokenFault::Algorithm),
        ("alg", json!("ES512"), TokenFault::Algorithm),
        ("alg", json!("ES256K"), TokenFault::Algorithm),
        ("alg", json!("rs256"), TokenFault::Algorithm),
        ("alg", json!(null), TokenFault::Algorithm),
        ("alg", json!(["RS256"]), TokenFault::Algorithm),
        ("alg", json!("RS512"), TokenFault::Signature),
        ("kid", json!("other"), TokenFault::UnknownKey),
        ("kid", json!("RSA"), TokenFault::UnknownKey),
        ("kid", json!(""), TokenFault::Header),
        ("kid", json!("../rsa"), TokenFault::Header),
        ("kid", json!("rsa\u{0}"), TokenFault::Header),
        ("kid", json!("a".repeat(129)), TokenFault::Header),
        ("kid", json!(["rsa"]), TokenFault::Header),
        ("kid", json!(null), TokenFault::Header),
        ("typ", json!("logout+jwt"), TokenFault::Header),
        ("typ", json!("dpop+jwt"), TokenFault::Header),
        ("typ", json!("secevent+jwt"), TokenFault::Header),
        ("typ", json!("JWE"), TokenFault::Header),
        ("typ", json!(7), TokenFault::Header),
    ] {
        let changed = with(header(), name, value.clone());
        let message = format!(
            "{}.{}",
            b64(changed.to_string().as_bytes()),
            b64(claims().to_string().as_bytes())
        );
        let token = format!("{message}.{}", b64(&hand.signature("RS256", message.as_bytes())));
        assert_eq!(verify(&keys, &token).err(), Some(fault), "{name} {value}");
    }
    for name in ["alg", "kid"] {
        assert!(
            verify(&keys, &hand.token(&without(header(), name), &claims())).is_err(),
            "{name}"
        );
    }
}

#[test]
fn svids_have_headers_of_their_own() {
    let hand = Hand::new();
    let fits = |header: Value| {
        let token = hand.token(&header, &claims());
        Presented::parse(&token).unwrap().is_headed_as_svids()
    };
    assert!(fits(header()) && fits(without(header(), "typ")));
    for (name, value, good) in [
        ("typ", "JWT", true),
        ("typ", "JOSE", true),
        ("typ", "at+jwt", false),
        ("typ", "jwt", false),
        ("x5t", "a", false),
    ] {
        assert_eq!(fits(with(header(), name, json!(value))), good, "{name} {value}");
    }
}

#[test]
fn a_public_key_is_no_shared_secret() {
    let hand = Hand::new();
    let (keys, jwks) = (hand.keys(), hand.jwks());
    let n = BASE64URL_NOPAD
        .decode(jwks["keys"][0]["n"].as_str().unwrap().as_bytes())
        .unwrap();
    let der = hand.rsa.public_key().as_ref().to_vec();
    let pem = format!(
        "-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n",
        data_encoding::BASE64.encode(&der)
    );
    let secrets = [
        n,
        der.clone(),
        pem.into_bytes(),
        data_encoding::HEXLOWER.encode(&der).into_bytes(),
        jwks["keys"][0].to_string().into_bytes(),
        jwks["keys"][0]["n"].to_string().into_bytes(),
        Vec::new(),
    ];
    for secret in secrets {
        for (name, algorithm) in [
            ("HS256", jsonwebtoken::Algorithm::HS256),
            ("HS512", jsonwebtoken::Algorithm::HS512),
        ] {
            let head = json!({ "alg": name, "kid": "rsa" });
            let message = format!(
                "{}.{}",
                b64(head.to_string().as_bytes()),
                b64(claims().to_string().as_bytes())
            );
            let secret = jsonwebtoken::EncodingKey::from_secret(&secret);
            let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &secret, algorithm).unwrap();
            assert_eq!(
                verify(&keys, &format!("{message}.{signature}")).err(),
                Some(TokenFault::Algorithm)
            );
            let head = json!({ "alg": "RS256", "kid": "rsa" });
            let message = format!(
                "{}.{}",
                b64(head.to_string().as_bytes()),
                b64(claims().to_string().as_bytes())
            );
            let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &secret, algorithm).unwrap();
            assert_eq!(
                verify(&keys, &format!("{message}.{signature}")).err(),
                Some(TokenFault::Signature)
            );
        }
    }
}

#[test]
fn no_byte_can_be_changed_and_no_other_form_is_one() {
    let hand = Hand::new();
    let keys = hand.keys();
    let good = hand.token(&json!({ "alg": "EdDSA", "kid": "ed" }), &claims());
    assert!(verify(&keys, &good).is_ok());
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert!(verify(&keys, &String::from_utf8(bytes).unwrap()).is_err(), "{at}");
    }
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts")
    };
    for token in [
        String::new(),
        "..".into(),
        "a.b".into(),
        "a.b.c.d".into(),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        format!("{header}..{signature}"),
        format!("{good}."),
        format!("{good}.."),
        format!(".{good}"),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{good}="),
        format!("{header}.{payload}.{signature}A"),
        ".".repeat(8000),
        "a".repeat(8193),
        "é.é.é".into(),
        format!("{header}.{payload}.{payload}.{payload}.{signature}"),
    ] {
        assert!(verify(&keys, &token).is_err(), "{token}");
    }
    let head = json!({ "alg": "EdDSA", "kid": "ed" });
    let twice = claims().to_string().replacen('{', r#"{"sub":"other","#, 1);
    assert_eq!(
        verify(&keys, &hand.raw(&head, &head.to_string(), &twice)).err(),
        Some(TokenFault::Claims)
    );
    let twice = r#"{"alg":"none","alg":"EdDSA","kid":"ed"}"#;
    assert_eq!(
        verify(&keys, &hand.raw(&head, twice, &claims().to_string())).err(),
        Some(TokenFault::Malformed)
    );
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(2000), "]".repeat(2000));
    assert_eq!(
        verify(&keys, &hand.raw(&head, &head.to_string(), &deep)).err(),
        Some(TokenFault::Claims)
    );
    for payload in ["[]", "null", "\"x\"", "{", ""] {
        assert!(
            verify(&keys, &hand.raw(&head, &head.to_string(), payload)).is_err(),
            "{payload}"
        );
    }
    let large = with(claims(), "x", json!("x".repeat(8192)));
    assert_eq!(
        verify(&keys, &hand.token(&head, &large)).err(),
        Some(TokenFault::Malformed)
    );
}

#[test]
fn of_a_set_only_what_can_be_used_is_kept() {
    let hand = Hand::new();
    let jwks = hand.jwks();
    let parse = |keys: Value, usage| KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), usage);
    let kept = |key: Value| !parse(json!([key]), KeyUse::Signatures).unwrap().is_empty();
    let (rsa, ec, ed) = (&jwks["keys"][0], &jwks["keys"][2], &jwks["keys"][4]);
    for good in [rsa, ec, ed] {
        assert!(kept(good.clone()) && kept(with(good.clone(), "use", json!("sig"))));
        for (name, value) in [
            ("use", json!("enc")),
            ("use", json!("jwt-svid")),
            ("key_ops", json!(["sign"])),
            ("kid", json!("")),
            ("kid", json!("a b")),
            ("kid", json!(null)),
            ("kty", json!("oct")),
            ("kty", json!("rsa")),
            ("alg", json!("HS256")),
            ("alg", json!("ES512")),
            ("alg", json!("RSA-OAEP")),
            ("d", json!("AQAB")),
            ("k", json!("AQAB")),
        ] {
            assert!(!kept(with(good.clone(), name, value.clone())), "{name} {value}");
        }
        assert!(!kept(without(good.clone(), "kid")) && !kept(without(good.clone(), "kty")));
    }
    assert!(!kept(with(ec.clone(), "alg", json!("RS256"))) && !kept(with(rsa.clone(), "alg", json!("ES256"))));
    assert!(!kept(with(ec.clone(), "crv", json!("P-521"))) && !kept(with(ec.clone(), "crv", json!("secp256k1"))));
    assert!(!kept(with(ec.clone(), "crv", json!("P-384"))) && !kept(with(ed.clone(), "crv", json!("Ed448"))));
    let n = |bytes: Vec<u8>| with(rsa.clone(), "n", json!(b64(&bytes)));
    assert!(
        !kept(n(vec![0xff; 255])) && !kept(n([vec![0x7f], vec![0xff; 255]].concat())),
        "below 2,048 bits"
    );
    assert!(kept(n([vec![0, 0x80], vec![0xff; 255]].concat())) && !kept(n(vec![0xff; 1025])) && !kept(n(vec![])));
    assert!(!kept(with(rsa.clone(), "e", json!(b64(&[1; 9])))) && !kept(with(rsa.clone(), "n", json!("a+b="))));
    let svid = with(ec.clone(), "use", json!("jwt-svid"));
    assert!(!parse(json!([svid]), KeyUse::JwtSvid).unwrap().is_empty());
    for other in [
        ec.clone(),
        with(ec.clone(), "use", json!("x509-svid")),
        with(ec.clone(), "use", json!("sig")),
    ] {
        assert!(parse(json!([other]), KeyUse::JwtSvid).unwrap().is_empty());
    }
    for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#, "null"] {
        assert!(KeySet::parse(bad.as_bytes(), KeyUse::Signatures).is_err(), "{bad}");
    }
    assert!(parse(json!(vec![ed; 100]), KeyUse::Signatures).is_ok());
    assert!(parse(json!(vec![ed; 101]), KeyUse::Signatures).is_err());
    assert!(
        parse(json!([1, "a", null, [], {}]), KeyUse::Signatures)
            .unwrap()
            .is_empty()
    );
    let huge = format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(256 * 1024));
    assert!(KeySet::parse(huge.as_bytes(), KeyUse::Signatures).is_err());
}

#[test]
fn of_two_keys_under_one_id_none_is_chosen() {
    let (hand, other) = (Hand::new(), Hand::new());
    let (ours, theirs) = (hand.jwks()["keys"][4].clone(), other.jwks()["keys"][4].clone());
    let head = json!({ "alg": "EdDSA", "kid": "ed" });
    for keys in [json!([ours, theirs]), json!([theirs, ours])] {
        let set = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), KeyUse::Signatures).unwrap();
        assert_eq!(
            verify(&set, &hand.token(&head, &claims())).err(),
            Some(TokenFault::Signature)
        );
    }
    // Of another kind it is no other choice.
    let ec = with(hand.jwks()["keys"][2].clone(), "kid", json!("ed"));
    let set = json!({ "keys": [ours, ec] }).to_string();
    let set = KeySet::parse(set.as_bytes(), KeyUse::Signatures).unwrap();
    assert!(verify(&set, &hand.token(&head, &claims())).is_ok());
    assert!(
        verify(&set, &other.token(&head, &claims())).is_err(),
        "another issuer's key of the same id"
    );
}
