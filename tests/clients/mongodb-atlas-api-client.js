// npm's mongodb-atlas-api-client against the admin API: organizations, projects, events, and the access list of a key.
//
//   mongodb-atlas-api-client.js ADMIN PUBLIC PRIVATE ORGANIZATION KEY
//
// It knows one kind of access list, that of a project; Atlas has those of keys in the same shape, so that it is led to one by
// its project id. Digest is the only way in that it has.
const connect = require("mongodb-atlas-api-client");

const [admin, publicKey, privateKey, organization, key] = process.argv.slice(2);
const at = (projectId) => connect({publicKey, privateKey, baseUrl: `${admin}/api/atlas/v2`, projectId});
const names = (page) => page.results.map((one) => one.name).join();
// Entries of one second come in the order of their addresses, and those of two in that of their making.
const networks = (page) => page.results.map((one) => one.cidrBlock).sort().join();

async function run() {
  const {organization: organizations, project: projects, event: events} = at("none");
  const all = await organizations.getAll();
  console.log("organizations", names(all), (await organizations.getById(all.results[0].id)).name);
  console.log("projects", names(await projects.getAll()), names(await organizations.getAllProjectsForOrganization(organization)));
  const {projectAccesslist: list} = at(`../orgs/${organization}/apiKeys/${key}`);
  console.log("list", networks(await list.getAll()));
  const created = await list.create([{cidrBlock: "198.51.100.0/24", comment: "office"}, {ipAddress: "192.0.2.7"}]);
  console.log("created", networks(created), created.totalCount);
  const one = await list.get("192.0.2.7");
  console.log("entry", one.ipAddress, one.cidrBlock, one.count);
  console.log("network", (await list.get(encodeURIComponent("198.51.100.0/24"))).comment);
  const pages = await Promise.all([1, 2, 3].map((pageNum) => list.getAll({itemsPerPage: 1, pageNum})));
  console.log("pages", networks({results: pages.flatMap((page) => page.results)}));
  console.log("deleted", await list.delete("192.0.2.7"), networks(await list.getAll()));
  console.log("missing", (await list.get("192.0.2.7")).errorCode);
  console.log("refused", (await list.create([{ipAddress: "192.0.2.7", cidrBlock: "192.0.2.7/32"}])).errorCode);
  const told = await events.getAllByOrganizationId(organization, {itemsPerPage: 1});
  console.log("event", told.results[0].eventTypeName, told.results[0].whitelistEntry);
}

run().catch((fault) => {
  console.error(fault);
  process.exit(1);
});
