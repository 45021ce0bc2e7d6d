// What npm's jose makes and takes, one line of JSON on stdin and one on stdout:
//   {"sign": {"issuer", "audience", "subject"}}: a key set, and a token for each algorithm
//   {"verify": {"token", "jwks_uri", "issuer", "audience"}}: the claims
import * as jose from "jose";

let text = "";
for await (const part of process.stdin) text += part;
const asked = JSON.parse(text);

if (asked.sign) {
  const { issuer, audience, subject } = asked.sign;
  const [keys, tokens] = [[], {}];
  for (const alg of ["RS256", "PS384", "ES256", "ES384", "EdDSA", "ES512"]) {
    const { publicKey, privateKey } = await jose.generateKeyPair(alg, { extractable: true });
    keys.push({ ...(await jose.exportJWK(publicKey)), kid: `jose-${alg}`, alg, use: "sig" });
    tokens[alg] = await new jose.SignJWT({})
      .setProtectedHeader({ alg, kid: `jose-${alg}`, typ: "JWT" })
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject(subject)
      .setIssuedAt()
      .setExpirationTime("5m")
      .sign(privateKey);
  }
  console.log(JSON.stringify({ jwks: { keys }, tokens }));
} else {
  const { token, jwks_uri, issuer, audience } = asked.verify;
  const keys = jose.createRemoteJWKSet(new URL(jwks_uri));
  const { payload, protectedHeader } = await jose.jwtVerify(token, keys, { issuer, audience, typ: "at+jwt" });
  console.log(JSON.stringify({ payload, header: protectedHeader }));
}
