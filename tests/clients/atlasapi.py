"""PyPI's atlasapi against the admin API: organizations, projects, keys, and the access list of a key.

    atlasapi.py ADMIN PUBLIC PRIVATE ORGANIZATION KEY

It has objects for keys and entries and no calls that fetch them; its own connection does that, which is Digest and its
errors by status.
"""

import logging
import os
import sys

# Beside the package there is this file, of the same name.
sys.path.pop(0)

admin, public, private, organization, key = sys.argv[1:]
os.environ["BASE_URL"] = admin
os.environ["URI_STUB"] = "/api/atlas/v2"
logging.disable(logging.CRITICAL)

from atlasapi.api_keys import ApiKey  # noqa: E402
from atlasapi.atlas import Atlas  # noqa: E402
from atlasapi.errors import ErrAtlasBadRequest, ErrAtlasNotFound  # noqa: E402
from atlasapi.settings import Settings  # noqa: E402
from atlasapi.whitelist import WhitelistEntry  # noqa: E402

resources = Settings.api_resources["Organization API Keys"]
one = Settings.BASE_URL + resources["Get one Organization API Key"].format(ORG_ID=organization, API_KEY_ID=key)
every = Settings.BASE_URL + resources["Get all Organization API Keys associated with org"].format(GROUP_ID=organization)
entries = one + "/accessList"


def shown(page):
    # Entries of one second come in the order of their addresses, and those of two in that of their making.
    return ",".join(sorted(WhitelistEntry.fill_from_dict(entry).cidrBlock for entry in page["results"]))


atlas = Atlas(public, private)
print("organizations", *[one.name for one in atlas.Organizations.organizations])
print("organization", atlas.Organizations.organization_by_id(organization).name)
print("projects", *[project.name for project in atlas.Projects.projects])
print("projects", *[project.name for project in atlas.Organizations.get_all_projects_for_org(organization)])
read = ApiKey.fill_from_dict(atlas.network.get(one))
print("key", read.id == key, read.desc, read.roles[0].role_name, read.private_key[:9])
print("keys", *[ApiKey.fill_from_dict(key).desc for key in atlas.network.get(every)["results"]])
print("list", shown(atlas.network.get(entries)))
print("created", shown(atlas.network.post(entries, [{"ipAddress": "192.0.2.8", "comment": "desk"}])))
entry = WhitelistEntry.fill_from_dict(atlas.network.get(entries + "/192.0.2.8"))
print("entry", entry.ipAddress, entry.comment, entry.count, entry.last_used)
print("deleted", atlas.network.delete(entries + "/192.0.2.8"), shown(atlas.network.get(entries)))
for fault, call in [
    (ErrAtlasNotFound, lambda: atlas.network.get(entries + "/192.0.2.8")),
    (ErrAtlasBadRequest, lambda: atlas.network.post(entries, [{"ipAddress": "010.0.0.1"}])),
]:
    try:
        call()
    except fault as told:
        print("refused", type(told).__name__)
