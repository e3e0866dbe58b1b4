// A provider of OpenID Connect for the console, npm's oidc-provider: `oidc-provider-node oidc-provider.mjs`.
//
// Tells its address on standard output; then a line of standard input names the address that people are sent back to. Whoever comes is
// signed in as the account that `/as/ACCOUNT` named last, without being asked anything.

import { createServer } from "node:http";
import { createInterface } from "node:readline";

const { default: Provider } = await import(process.env.OIDC_PROVIDER);

const accounts = {
  ann: { email: "owner@example.com", email_verified: true },
  first: { email: "ann@example.com", email_verified: true },
  ben: { email: "Ben@Example.com", email_verified: true },
  cleo: { email: "cleo@new.example", email_verified: true },
  unverified: { email: "owner@example.com", email_verified: false },
  nobody: { email: "nobody@example.com", email_verified: true },
  mailless: {},
};
let account = "ann";
let answering = (request, answer) => answer.writeHead(503).end();

const server = createServer((request, answer) => {
  const named = /^\/as\/(\w+)$/.exec(request.url);
  if (!named) return answering(request, answer);
  account = named[1];
  return answer.end();
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));

createInterface({ input: process.stdin }).on("line", (line) => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      { client_id: "console", client_secret: "a secret: of the test/4711", redirect_uris: [line.trim()] },
      { client_id: "public", token_endpoint_auth_method: "none", redirect_uris: [line.trim()] },
    ],
    cookies: { keys: ["a key of the test"] },
    claims: { openid: ["sub"], email: ["email", "email_verified"] },
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    // The address may stand in the ID token, or be asked for: both are standard.
    conformIdTokenClaims: process.env.IN_ID_TOKEN === undefined,
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...accounts[id] }) }),
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
      grant.addOIDCScope("openid email");
      await grant.save();
      return grant;
    },
  });
  const plain = provider.callback();
  answering = async (request, answer) => {
    if (request.url.startsWith("/interaction/")) {
      const result = account === "refuses" ? { error: "access_denied" } : { login: { accountId: account } };
      await provider.interactionFinished(request, answer, result, { mergeWithLastSubmission: false });
    } else {
      plain(request, answer);
    }
  };
  console.log("ready");
});
