"""Hooks of schemathesis: what a schema can't tell about calling the admin API.

Follows the document's links in every phase, not in the stateful one alone: what one answer tells, later calls use. Keeps
the run from sawing off the branch it sits on (its own key, its own person, its own organization), gives the
operations of people a person of their own, and counts which operations were answered with success.

Reads from the environment:
  CONFORMANCE_AUTHORIZATION  what the run calls with
  CONFORMANCE_PROTECTED  ids that the run itself stands on, with commas between
  CONFORMANCE_PERSON     email:password of somebody who can sign in
  CONFORMANCE_SESSIONS   {operationId: token}: sessions for what ends sessions and changes passwords
  CONFORMANCE_INVITATION  a token of an invitation
  CONFORMANCE_DOCUMENT   the file that has the OpenAPI document
  CONFORMANCE_URL        what its paths stand behind
  CONFORMANCE_REPORT     the file that gets {operationId: [statuses]}
"""

import atexit
import collections
import json
import os
import urllib.parse

import requests
import schemathesis

PROTECTED = set(filter(None, os.environ["CONFORMANCE_PROTECTED"].split(",")))
EMAIL, PASSWORD = os.environ["CONFORMANCE_PERSON"].split(":", 1)
SESSIONS = json.loads(os.environ["CONFORMANCE_SESSIONS"])

statuses = {}
invitations = [os.environ["CONFORMANCE_INVITATION"]]
# What links lead to: the parameters of calls to come, by operation.
known = collections.defaultdict(lambda: collections.deque(maxlen=500))
gone = set()
calls = collections.Counter()


def operation_id(case):
    return case.operation.definition.raw["operationId"]


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    """Text goes as it is; of anything else each item is a line."""
    if isinstance(value, str):
        return value.encode(errors="surrogatepass")
    items = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


@schemathesis.auth()
class Caller:
    """Nobody signs in with a credential: where the document demands none, none is sent."""

    def get(self, case, context):
        return os.environ["CONFORMANCE_AUTHORIZATION"]

    def set(self, case, data, context):
        if case.operation.definition.raw.get("security") != []:
            case.headers = {**(case.headers or {}), "Authorization": data}


def is_meant_well(case):
    return case.meta is None or case.meta.generation.mode.is_positive


def follow(operation, status, path_parameters, body):
    """Remembers what the links of an answer lead to: of a page, by each of its items."""
    answer = operation["responses"].get(str(status), {})
    for link in answer.get("links", {}).values():
        if "operationId" not in link:
            continue
        for at in range(5):
            found = {}
            for name, expression in link["parameters"].items():
                if expression.startswith("$request.path."):
                    found[name] = (path_parameters or {}).get(expression.removeprefix("$request.path."))
                else:
                    pointer = expression.removeprefix("$response.body#/").replace("/0/", f"/{at}/")
                    found[name] = look_up(body, pointer.split("/"))
            if all(found.values()) and found not in known[link["operationId"]]:
                known[link["operationId"]].append(found)


def look_up(value, steps):
    for step in steps:
        if isinstance(value, list):
            value = value[int(step)] if int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def look_around():
    """Remembers what there is before anything is generated, by the lists that links lead to from the organizations on."""
    with open(os.environ["CONFORMANCE_DOCUMENT"]) as file:
        paths = json.load(file)["paths"]
    lists = [(path, of["get"]) for path, of in paths.items() if of.get("get", {}).get("responses", {}).get("200", {}).get("links")]
    for _ in range(3):
        for path, operation in lists:
            for parameters in [{}] if "{" not in path else list(known[operation["operationId"]]):
                where = os.environ["CONFORMANCE_URL"] + path.format(**parameters)
                answer = requests.get(where, headers={"Authorization": os.environ["CONFORMANCE_AUTHORIZATION"]}, timeout=20)
                if answer.status_code == 200:
                    follow(operation, 200, parameters, answer.json())


def made_by(case):
    """The last part of the path that names something."""
    names = [part[1:-1] for part in case.operation.path.split("/") if part.startswith("{")]
    return names[-1] if names else None


def destroys(case, name):
    """Whether a call could take away what the run stands on."""
    if case.method.upper() in ("GET", "HEAD", "OPTIONS"):
        return False
    is_edit = case.method.upper() == "DELETE" or name in ("updateApiKey", "updateProjectApiKey", "updateUserRoles")
    return is_edit or name in ("createAccessListEntries", "replaceAccessList")


def fit(case, name):
    """Makes values fit that are right by the schema and would be refused by a rule that no schema can tell."""
    body = case.body
    if name == "explain":
        body.clear()
        body.update(peerAddress="203.0.113.9")
    if name == "signIn":
        body.update(email=EMAIL, password=PASSWORD)
    if name == "changePassword":
        body.update(currentPassword=PASSWORD, password=PASSWORD)
    if name == "acceptInvite" and invitations:
        body.update(token=invitations.pop(), password=PASSWORD)
    if name == "createInvite":
        body.update(username=f"colleague.{calls[name]}@example.com")
    if name == "createOrganization":
        body.setdefault("apiKey", {"desc": "the key that a calling credential has to ask for"})
    if name in ("createNetworkSet", "replaceNetworkSet"):
        # From where a set may take its networks is the configuration's to say.
        body.update(networks=["198.51.100.0/24"], source={"file": "list.txt"} if calls[name] % 2 else None)
    if name in ("createServiceAccount", "createProjectServiceAccount"):
        body.update(secretExpiresAfterHours=8, token=None)
    if body.get("roles"):
        body["roles"] = ["GROUP_READ_ONLY"] if "groupId" in (case.path_parameters or {}) else ["ORG_MEMBER"]
    if body.get("expiresAt"):
        body["expiresAt"] = "2099-01-01T00:00:00Z"


@schemathesis.hook
def before_call(context, case, kwargs):
    name = operation_id(case)
    calls[name] += 1
    own = PROTECTED if destroys(case, name) else set()
    usable = [one for one in known[name] if one[made_by(case)] not in own and not gone & set(one.values())]
    if is_meant_well(case) and case.method.upper() == "DELETE":
        # The oldest goes, and the last of all late or, where others are below it, never: so that they have something to work on.
        if len(usable) > 1 or usable and calls[name] > 3 and name != "deleteProject":
            case.path_parameters = dict(usable[0])
    elif is_meant_well(case) and usable and calls[name] % 5:
        case.path_parameters = dict(usable[-1])
    if "entry" in (case.path_parameters or {}) and is_meant_well(case):
        # A network is one part of the path, with its `/`.
        entry = urllib.parse.unquote(case.path_parameters["entry"])
        case.path_parameters["entry"] = urllib.parse.quote(entry, safe="")
    if str((case.path_parameters or {}).get(made_by(case))) in own:
        case.path_parameters[made_by(case)] = "0" * 24
    if name == "updateOrganizationSettings" and case.query:
        # The guards keep the caller from shutting itself out, unless forced.
        case.query.pop("force", None)
    if case.query and is_meant_well(case) and calls[name] % 4:
        # What is only rehearsed makes and changes nothing that later calls could work on.
        case.query.pop("dryRun", None)
    if name in SESSIONS and "Authorization" in (case.headers or {}):
        case.headers["Authorization"] = f"Bearer {SESSIONS[name]}"
    if is_meant_well(case):
        if isinstance(case.body, dict):
            fit(case, name)
        entries = case.body.get("accessList") if isinstance(case.body, dict) else case.body
        if isinstance(entries, list):
            entries[:] = [{"ipAddress": f"203.0.113.{at}"} for at in range(1 + len(entries) % 4)]


@schemathesis.hook
def after_call(context, case, response):
    name = operation_id(case)
    if case.method.upper() != case.operation.method.upper():
        return
    statuses.setdefault(name, set()).add(response.status_code)
    if response.status_code == 404:
        # It is gone, or was never there for this caller.
        refusal = response.json()
        gone.update((refusal.get("content") or refusal)["parameters"][:1])
    if response.status_code >= 300:
        return
    body = response.json() if response.content else {}
    body = body.get("content") or body
    follow(case.operation.definition.raw, response.status_code, case.path_parameters, body)
    if name == "createInvite":
        invitations.append(body.get("token", ""))


look_around()


@atexit.register
def report():
    with open(os.environ["CONFORMANCE_REPORT"], "w") as file:
        json.dump({name: sorted(seen) for name, seen in statuses.items()}, file, indent=1, sort_keys=True)
