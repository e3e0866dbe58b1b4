// Has Lighthouse look at pages of the console: `lighthouse-node lighthouse.mjs ADMIN SIGN_UP_TOKEN`.
//
// Signs the first owner up, makes a key, and looks at the sign-in page as a stranger and at the others as that owner, as a
// telephone would. Exit: 0 where every page has 100 for accessibility and best practices and 95 for performance.

const [admin, token] = process.argv.slice(2);
const { default: puppeteer } = await import(`${process.env.TOOLS}/puppeteer-core/lib/esm/puppeteer/puppeteer-core.js`);
const { default: lighthouse } = await import(`${process.env.TOOLS}/lighthouse/core/index.js`);
const password = "a password of the test 4711";
const bounds = { accessibility: 1, "best-practices": 1, performance: 0.95 };

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],
});
let isGood = true;

async function look(page, path) {
  const flags = { onlyCategories: Object.keys(bounds), disableStorageReset: true, logLevel: "error" };
  const { lhr } = await lighthouse(`${admin}${path}`, flags, undefined, page);
  const scores = Object.entries(bounds).map(([name, least]) => {
    const { score } = lhr.categories[name];
    if (score < least) {
      isGood = false;
      const audits = lhr.categories[name].auditRefs.map((one) => lhr.audits[one.id]).filter((audit) => audit.score !== null && audit.score < 1);
      for (const audit of audits) console.error(`${path}: ${audit.id}: ${audit.title}: ${JSON.stringify(audit.details?.items ?? []).slice(0, 500)}`);
    }
    return `${name} ${Math.round(score * 100)}`;
  });
  console.log(`${path.replace(/[0-9a-f]{24}/g, "…")}: ${scores.join(", ")}`);
}

try {
  const page = await browser.newPage();
  const follow = (what) => Promise.all([page.waitForNavigation(), page.click(what)]);
  await page.goto(`${admin}/sign-up`);
  for (const [field, text] of [["#token", token], ["#email", "ann@example.com"], ["#password", password], ["#again", password]]) {
    await page.type(field, text);
  }
  await follow("button.main");
  const own = new URL(page.url()).pathname.replace(/\/keys.*/, "");
  await page.goto(`${admin}${own}/keys/new`);
  await page.type("#desc", "nightly export");
  await page.type("#entries", "192.0.2.1, the office");
  await follow("button.main");
  await page.goto(`${admin}${own}/keys`);
  const key = await page.$eval("tbody th a", (link) => link.getAttribute("href"));
  const stranger = await (await browser.createBrowserContext()).newPage();
  await look(stranger, "/sign-in");
  for (const path of [`${own}/keys`, key, `${own}/activity`, `${own}/settings`]) await look(page, path);
} finally {
  await browser.close();
}
process.exit(isGood ? 0 : 1);
