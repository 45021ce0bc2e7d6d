// npm's oidc-provider over HTTPS: provider.mjs PORT CERTIFICATE KEY. Its own forms take any name and password.
import fs from "node:fs";
import https from "node:https";
import Provider from "oidc-provider";

const [port, certificate, key] = process.argv.slice(2);
const provider = new Provider(`https://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "strongroom",
      client_secret: "a secret of the client's own",
      application_type: "native",
      grant_types: ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
      redirect_uris: ["http://127.0.0.1/callback"],
      response_types: ["code"],
      token_endpoint_auth_method: "client_secret_post",
    },
  ],
  claims: { openid: ["sub"], profile: ["preferred_username"], groups: ["groups"] },
  conformIdTokenClaims: false,
  cookies: { keys: ["of one run"] },
  features: { deviceFlow: { enabled: true } },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: id, groups: ["Engineering", "Everybody"] }),
  }),
});
const options = { cert: fs.readFileSync(certificate), key: fs.readFileSync(key) };
https.createServer(options, provider.callback()).listen(Number(port), "127.0.0.1", () => console.log("ready"));
