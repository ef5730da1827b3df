// verify URL ISSUER AUDIENCE ALG TYP: the token on stdin, by the keys at URL. sign ISSUER AUDIENCE: a set of keys, and a token by each.
import { readFileSync } from 'node:fs';
import { createRemoteJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';

const [how, ...words] = process.argv.slice(2);
if (how === 'verify') {
  const [url, issuer, audience, algorithm, typ] = words;
  const token = readFileSync(0, 'utf8');
  const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(url)), {
    algorithms: [algorithm], issuer, audience, typ, requiredClaims: ['exp', 'iat', 'sub', 'jti'],
  });
  console.log(JSON.stringify(payload));
} else {
  const [issuer, audience] = words;
  const keys = [];
  const tokens = {};
  for (const name of ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519']) {
    const { publicKey, privateKey } = await generateKeyPair(name);
    keys.push({ ...await exportJWK(publicKey), kid: name, alg: name, use: 'sig' });
    tokens[name] = await new SignJWT({ client_id: 'library', scope: 'orders:read' })
      .setProtectedHeader({ alg: name, typ: 'at+jwt', kid: name })
      .setIssuer(issuer).setAudience(audience).setSubject(name).setJti(name).setIssuedAt().setExpirationTime('10m')
      .sign(privateKey);
  }
  console.log(JSON.stringify({ jwks: { keys }, tokens }));
}
