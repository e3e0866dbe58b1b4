// Drives the console in a real Chromium: as somebody without scripts first, then on every page, in light and dark, at two
// widths; and as another site that would like to.
//
//   console.js ADMIN GATEWAY TOKEN SCREENSHOTS
//
// Prints what it saw, one line each; ends with 1 at the first thing that is not as it should be.
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const puppeteer = require("puppeteer-core");

const [admin, gateway, token, shots] = process.argv.slice(2);
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const password = "a password of the test 4711";

// What the gateway answers to a key that calls from an address of the loopback.
function call(key, from) {
  const { hostname, port } = new URL(gateway);
  return new Promise((resolve, reject) => {
    const options = { hostname, port, path: "/", localAddress: from, agent: false, headers: { "X-API-Key": key } };
    http.get(options, (answer) => {
      let body = "";
      answer.on("data", (part) => { body += part; });
      answer.on("end", () => resolve(answer.statusCode === 200 ? "OK" : JSON.parse(body).errorCode));
    }).on("error", reject);
  });
}

async function until(what, ask) {
  const end = Date.now() + 15000;
  for (;;) {
    const found = await ask();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within 15 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

// Somebody at the browser: every field that is filled and every click is an interaction.
class Person {
  constructor(page) {
    this.page = page;
    this.interactions = 0;
  }

  async fill(field, text) {
    this.interactions += 1;
    await this.page.$eval(field, (element) => { element.value = ""; });
    await this.page.type(field, text);
  }

  async tick(field) {
    this.interactions += 1;
    await this.page.click(field);
  }

  async follow(what) {
    this.interactions += 1;
    await Promise.all([this.page.waitForNavigation(), this.page.click(what)]);
  }

  text(selector) {
    return this.page.$eval(selector, (element) => element.textContent.trim());
  }
}

async function opened(browser, problems) {
  const page = await browser.newPage();
  page.on("dialog", async (dialog) => {
    problems.push(`a dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  page.on("pageerror", (error) => problems.push(`an error of a script: ${error.message}`));
  page.on("console", (message) => {
    if (/Content Security Policy|integrity/i.test(message.text())) problems.push(message.text());
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(admin) && !url.startsWith("data:")) problems.push(`a request to ${url}`);
  });
  await page.setViewport({ width: 1280, height: 900 });
  return page;
}

// From an empty store to the first enforced denial, and that put right, without scripts.
async function withoutScripts(browser, problems) {
  const page = await opened(browser, problems);
  await page.setJavaScriptEnabled(false);
  const ann = new Person(page);
  await page.goto(admin);
  await ann.fill("#token", token);
  await ann.fill("#email", "ann@example.com");
  await ann.fill("#password", password);
  await ann.fill("#again", password);
  await ann.follow("button.main");
  await ann.follow("a.button.main");
  await ann.fill("#desc", "nightly export");
  await ann.fill("#entries", "127.0.0.1, the office");
  await ann.follow("button.main");
  const key = `${await ann.text("#public")}.${await ann.text("#private")}`;
  assert.equal(await call(key, "127.0.0.1"), "OK");
  assert.equal(await call(key, "127.0.0.2"), "IP_ADDRESS_NOT_ON_ACCESS_LIST");
  await ann.follow("main > div > a.button.main");
  await until("the denial is shown", async () => {
    await page.reload();
    return (await page.content()).includes("Add this address");
  });
  await ann.follow("dl.facts form button");
  assert.equal(await call(key, "127.0.0.2"), "OK");
  assert.ok(ann.interactions <= 12, `${ann.interactions} interactions`);
  console.log(`a denial is put right after ${ann.interactions} interactions without scripts`);
  const credential = page.url();
  await page.close();
  return { key, credential };
}

// An organization with the switch, names full of markup, and the step that shows whom the switch would refuse.
async function withMarkup(browser, problems, organization) {
  const page = await opened(browser, problems);
  const ann = new Person(page);
  const markup = "<img src=x onerror=alert(1)>\"'><script>alert(2)</script>";
  await page.goto(`${admin}/orgs/new`);
  assert.ok(await page.$eval("#required", (box) => box.checked), "lists are required by default");
  await ann.fill("#name", markup);
  await ann.follow("button.main");
  const strict = new URL(page.url()).pathname.split("/")[2];
  await page.goto(`${admin}/orgs/${strict}/keys/new`);
  await ann.fill("#desc", markup);
  await ann.fill("#entries", `192.0.2.1, "${markup.replaceAll('"', "'")}"`);
  await ann.follow("button.main");
  await ann.follow("main > div > a.button.main");
  assert.ok((await page.content()).includes("&lt;script&gt;alert(2)"), "markup stays text");
  const marked = page.url();
  await page.goto(`${admin}/orgs/${organization}/keys/new`);
  await ann.fill("#desc", "report writer");
  await ann.follow("button.main");
  const key = `${await ann.text("#public")}.${await ann.text("#private")}`;
  assert.equal(await call(key, "127.0.0.3"), "OK");
  await until("the use is shown", async () => {
    await page.goto(`${admin}/orgs/${organization}/switch`);
    return (await page.content()).includes("127.0.0.3");
  });
  console.log("markup stays text, and the switch shows whom it would refuse");
  await page.close();
  return { strict, marked };
}

// Somebody who is here signs in by the provider, in a browser that knows nothing yet, without scripts.
async function byProvider(browser) {
  const page = await (await browser.createBrowserContext()).newPage();
  await page.setJavaScriptEnabled(false);
  await page.goto(`${admin}/sign-in`);
  await Promise.all([page.waitForNavigation(), page.click(".choose a")]);
  assert.ok(page.url().startsWith(admin) && (await page.content()).includes("ann@example.com"), page.url());
  const cookies = await page.cookies();
  assert.ok(cookies.some((one) => one.name === "__Host-portcullis-session" && one.httpOnly && one.secure));
  assert.ok(!cookies.some((one) => one.name === "__Host-portcullis-ticket"));
  await page.close();
  console.log("a provider vouches for somebody who is here");
}

// A service account that a client certificate proves, and a project with a role on it.
async function furnished(browser, problems, organization) {
  const page = await opened(browser, problems);
  const ann = new Person(page);
  await page.goto(`${admin}/orgs/${organization}/accounts/new`);
  await ann.fill("#name", "edge proxy");
  await ann.fill("#description", "calls from the mesh");
  await ann.tick("form details summary");
  await ann.fill("[name='certificate.sanUri']", "spiffe://mesh/ns/edge/sa/proxy");
  await ann.follow("button.main");
  const account = new URL(await page.$eval("main > div > a.button.main", (link) => link.href)).pathname;
  await page.goto(`${admin}/orgs/${organization}/projects`);
  await ann.fill("#name", "billing");
  await ann.follow("main form button.main");
  const project = new URL(page.url()).pathname.replace(/\/keys$/, "");
  await page.goto(`${admin}${project}`);
  await ann.fill("#credential", account.split("/").pop());
  await ann.tick("#role-GROUP_READ_ONLY");
  await ann.follow("form.card button");
  await page.goto(`${admin}/orgs/${organization}/accounts/new`);
  await ann.fill("#name", "nightly batch");
  await ann.fill("#description", "exports at night");
  await ann.tick("#enforcement-report");
  await ann.follow("button.main");
  const [id, secret] = [await ann.text("#public"), await ann.text("#private")];
  const basic = Buffer.from(`${id}:${secret}`).toString("base64");
  for (let count = 0; count < 2; count += 1) {
    const answer = await fetch(`${admin}/api/oauth/token`, {
      method: "POST", headers: { Authorization: `Basic ${basic}` }, body: new URLSearchParams({ grant_type: "client_credentials" }),
    });
    assert.equal(answer.status, 200);
  }
  const batch = `/orgs/${organization}/credentials/${id}`;
  await page.goto(`${admin}${batch}`);
  assert.match(await ann.text("section[aria-labelledby=tokens]"), /2 work now/);
  for (const [name, file] of [["edge", "edge.txt"], ["partner", "away.txt"], ["office", ""]]) {
    await page.goto(`${admin}/orgs/${organization}/sets/new`);
    await ann.fill("#name", name);
    if (file) {
      await ann.tick("form details summary");
      await ann.fill("[name='source.file']", file);
    } else {
      await ann.fill("#entries", "192.0.2.0/24");
    }
    await ann.follow("button.main");
  }
  await until("the states of the sets", async () => {
    await page.goto(`${admin}/orgs/${organization}/sets`);
    const all = await ann.text("main table");
    return all.includes("fresh") && all.includes("failing");
  });
  await page.close();
  return { account, project, batch };
}

// Somebody who may look and change nothing, in a browser of their own.
async function reading(browser, problems, organization) {
  const page = await opened(browser, problems);
  const ann = new Person(page);
  await page.goto(`${admin}/orgs/${organization}/people`);
  await ann.fill("#email", "reader@example.com");
  await ann.tick("#role-ORG_READ_ONLY");
  await ann.follow("form.card button.main");
  const invited = await ann.text("#token");
  await page.close();
  const context = await browser.createBrowserContext();
  const own = await opened(context, problems);
  const reader = new Person(own);
  await own.goto(`${admin}/invitation`);
  await reader.fill("#token", invited);
  await reader.fill("#password", password);
  await reader.fill("#again", password);
  await reader.follow("button.main");
  await own.close();
  return context;
}

// What another site would like to do.
async function fromElsewhere(browser, organization) {
  const evil = http.createServer((request, answer) => {
    answer.setHeader("content-type", "text/html");
    answer.end(`<iframe src="${admin}/" id="framed"></iframe>
      <form method="post" action="${admin}/orgs/new"><input name="name" value="stolen"><input name="form" value="x"></form>
      <script>if (location.hash === "#send") document.forms[0].submit();</script>`);
  });
  await new Promise((resolve) => evil.listen(0, "127.0.0.1", resolve));
  const { port } = evil.address();
  const page = await browser.newPage();
  for (const host of ["localhost", "127.0.0.1"]) {
    await page.goto(`http://${host}:${port}/`);
    await until("the frame is refused", async () => {
      const frame = page.frames().find((one) => one !== page.mainFrame());
      return frame && !(await frame.content().catch(() => "")).includes("Portcullis");
    });
    const [answer] = await Promise.all([
      page.waitForResponse((one) => one.request().method() === "POST"),
      page.goto("about:blank").then(() => page.goto(`http://${host}:${port}/#send`).catch(() => undefined)),
    ]);
    assert.equal(answer.status(), 403, `a form of ${host}`);
  }
  await page.goto(`${admin}/`);
  assert.ok(!(await page.content()).includes("stolen"));
  await page.close();
  evil.close();
  console.log("another site neither frames a page nor sends a form");
}

// A refusal appears without anybody asking, and its address is put on the list from there.
async function live(browser, problems, organization, key) {
  const page = await opened(browser, problems);
  await page.goto(`${admin}/orgs/${organization}/denials`);
  await until("the page follows", async () => (await page.$eval("#live", (element) => element.textContent)) === "Live");
  const before = (await page.$$("#denials tr")).length;
  assert.equal(await call(key, "127.0.0.4"), "IP_ADDRESS_NOT_ON_ACCESS_LIST");
  await until("the refusal appears", async () => (await page.$$("#denials tr")).length > before);
  assert.ok((await page.$eval("#denials tr", (row) => row.textContent)).includes("127.0.0.4"));
  await Promise.all([page.waitForNavigation(), page.click("#denials tr form button")]);
  assert.equal(await call(key, "127.0.0.4"), "OK");
  // One is left for the pages to show.
  assert.equal(await call(key, "127.0.0.5"), "IP_ADDRESS_NOT_ON_ACCESS_LIST");
  await page.close();
  console.log("a refusal appears live, and its address is put on the list from there");
}

// The charts of an organization's activity are drawn by what is vendored, and the table says the same.
async function charted(browser, problems, organization) {
  const page = await opened(browser, problems);
  await page.goto(`${admin}/orgs/${organization}/activity`);
  await until("the charts are drawn", async () => (await page.$$("#charts .u-over")).length === 2);
  const height = await page.$eval("#chart-requests canvas", (canvas) => canvas.clientHeight);
  assert.ok(height > 100, `the chart is ${height} pixels high`);
  await page.close();
  console.log("requests and latency are charts where scripts run");
}

async function accessible(page, what) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const told = found.violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.html).join(" | ")}`);
  assert.equal(told.join("\n"), "", what);
}

// Every page, in light and dark and at both widths.
async function everyPage(browser, problems, pages) {
  const page = await opened(browser, problems);
  for (const [name, at] of pages) {
    for (const [width, height] of [[1280, 900], [390, 844]]) {
      await page.setViewport({ width, height });
      for (const scheme of ["light", "dark"]) {
        await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
        const answer = await page.goto(`${admin}${at}`);
        assert.equal(answer.status(), 200, at);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok(wide <= 0, `${at} is ${wide} pixels too wide at ${width}`);
        await accessible(page, `${at} at ${width}, ${scheme}`);
        await page.screenshot({ path: path.join(shots, `${name}-${width}-${scheme}.png`) });
      }
    }
  }
  await page.close();
  console.log(`${pages.length} pages are accessible, in light and dark, at both widths`);
}

async function main() {
  const problems = [];
  const options = { executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] };
  const browser = await puppeteer.launch(options);
  try {
    const { credential, key } = await withoutScripts(browser, problems);
    const organization = new URL(credential).pathname.split("/")[2];
    await charted(browser, problems, organization);
    const { strict, marked } = await withMarkup(browser, problems, organization);
    await live(browser, problems, organization, key);
    await byProvider(browser);
    await fromElsewhere(browser, organization);
    const { account, project, batch } = await furnished(browser, problems, organization);
    const own = `/orgs/${organization}`;
    await everyPage(browser, problems, [
      ["sign-in", "/sign-in"], ["sign-up", "/sign-up"], ["invitation", "/invitation"], ["account", "/account"],
      ["organizations", "/"], ["organization-new", "/orgs/new"], ["settings", `${own}/settings`],
      ["switch", `${own}/switch`], ["keys", `${own}/keys`], ["key-new", `${own}/keys/new`],
      ["key", new URL(credential).pathname], ["key-with-markup", new URL(marked).pathname],
      ["account-of-program", account], ["account-with-tokens", batch], ["set", `${own}/sets/edge`], ["project", project], ["accounts", `${own}/accounts`], ["account-new", `${own}/accounts/new`], ["projects", `${own}/projects`],
      ["sets", `${own}/sets`], ["set-new", `${own}/sets/new`], ["people", `${own}/people`],
      ["events", `${own}/events`], ["activity", `${own}/activity`], ["denials", `${own}/denials`], ["no-denials", `/orgs/${strict}/denials`], ["explain", "/explain"],
      ["explained", `/explain?credential=${new URL(credential).pathname.split("/")[4]}&address=203.0.113.9`],
      ["empty", `/orgs/${strict}/accounts`],
    ]);
    const reader = await reading(browser, problems, organization);
    await everyPage(reader, problems, [
      ["read-settings", `${own}/settings`], ["read-switch", `${own}/switch`], ["read-key", new URL(credential).pathname],
      ["read-account", account], ["read-keys", `${own}/keys`], ["read-key-new", `${own}/keys/new`],
      ["read-project", project], ["read-people", `${own}/people`],
    ]);
    assert.deepEqual(problems, []);
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
