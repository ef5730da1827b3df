# verify URL ISSUER AUDIENCE ALG TYP: the token on stdin, by the keys at URL. sign ISSUER AUDIENCE: a set of keys, and a token by each.
import json
import sys
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

how, *words = sys.argv[1:]
if how == "verify":
    url, issuer, audience, algorithm, typ = words
    token = sys.stdin.read()
    key = jwt.PyJWKClient(url).get_signing_key_from_jwt(token)
    require = {"require": ["iss", "aud", "exp", "iat", "sub", "jti"]}
    known = jwt.decode_complete(token, key, algorithms=[algorithm], issuer=issuer, audience=audience, options=require)
    assert known["header"]["typ"] == typ
    print(json.dumps(known["payload"]))
else:
    issuer, audience = words
    keys, tokens = [], {}
    for name, private in [
        ("ES256", ec.generate_private_key(ec.SECP256R1())),
        ("RS256", rsa.generate_private_key(65537, 2048)),
        ("PS256", rsa.generate_private_key(65537, 2048)),
        ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    ]:
        algorithm = jwt.get_algorithm_by_name(name)
        public = algorithm.to_jwk(private.public_key(), as_dict=True)
        keys.append({**public, "kid": name, "alg": name, "use": "sig"})
        now = int(time.time())
        claims = {"iss": issuer, "aud": audience, "sub": name, "client_id": "library", "scope": "orders:read",
                  "jti": name, "iat": now, "exp": now + 600}
        tokens[name] = jwt.encode(claims, private, algorithm=name, headers={"typ": "at+jwt", "kid": name})
    print(json.dumps({"jwks": {"keys": keys}, "tokens": tokens}))
