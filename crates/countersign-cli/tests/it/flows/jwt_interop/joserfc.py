# verify URL ISSUER AUDIENCE ALG TYP: the token on stdin, by the keys at URL. sign ISSUER AUDIENCE: a set of keys, and a token by each.
import json
import sys
import time
import urllib.request

from joserfc import jwk, jwt

how, *words = sys.argv[1:]
if how == "verify":
    url, issuer, audience, algorithm, typ = words
    with urllib.request.urlopen(url) as answer:
        keys = jwk.KeySet.import_key_set(json.load(answer))
    token = jwt.decode(sys.stdin.read(), keys, algorithms=[algorithm])
    assert token.header["typ"] == typ
    essential = {name: {"essential": True} for name in ["exp", "iat", "sub", "jti"]}
    essential["iss"] = {"essential": True, "value": issuer}
    essential["aud"] = {"essential": True, "value": audience}
    jwt.JWTClaimsRegistry(leeway=0, **essential).validate(token.claims)
    print(json.dumps(token.claims))
else:
    issuer, audience = words
    keys, tokens = [], {}
    for name, private in [
        ("ES256", jwk.ECKey.generate_key("P-256")),
        ("RS256", jwk.RSAKey.generate_key(2048)),
        ("PS256", jwk.RSAKey.generate_key(2048)),
        ("EdDSA", jwk.OKPKey.generate_key("Ed25519")),
        ("Ed25519", jwk.OKPKey.generate_key("Ed25519")),
    ]:
        keys.append({**private.as_dict(private=False), "kid": name, "alg": name, "use": "sig"})
        now = int(time.time())
        claims = {"iss": issuer, "aud": audience, "sub": name, "client_id": "library", "scope": "orders:read",
                  "jti": name, "iat": now, "exp": now + 600}
        header = {"alg": name, "typ": "at+jwt", "kid": name}
        tokens[name] = jwt.encode(header, claims, private, algorithms=[name])
    print(json.dumps({"jwks": {"keys": keys}, "tokens": tokens}))
