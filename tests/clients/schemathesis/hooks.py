"""What schemathesis does besides: paths of several segments, objects to succeed on, and a count of answers.

Every second request of an operation goes to an object that was made for it; the others go where schemathesis sends them.
"""

import atexit
import collections
import itertools
import json
import os
import pathlib
import tomllib
import urllib.parse

import requests
import schemathesis

TABLES = tomllib.loads(pathlib.Path(__file__).with_name("objects.toml").read_text())
API = os.environ["STRONGROOM_ADDR"] + "/api/v1/"

numbers = itertools.count(1)
asked = collections.Counter()
answers = collections.defaultdict(collections.Counter)
ROOT = "Bearer " + os.environ["STRONGROOM_TOKEN"]
session = requests.Session()
session.headers["Authorization"] = ROOT


def send(method, path, body=None):
    response = session.request(method, API + urllib.parse.quote(path), json=body, timeout=30)
    if not response.ok:
        raise RuntimeError(f"objects.toml: {method} {path} was answered {response.status_code}: {response.text}")
    return json.loads(response.text or "{}")


def named(template, known):
    """The template with names of `known` in braces replaced."""
    text = json.dumps(template)
    for name, value in known.items():
        text = text.replace("{" + name + "}", value)
    return json.loads(text)


def make(name):
    wanted, known = TABLES["objects"][name], {"n": str(next(numbers))}
    for request in wanted["requests"]:
        answer = send(*named(request, known))
        known |= {field: value for field, value in answer.items() if isinstance(value, str)}
    return {part: named(wanted.get(part, {}), known) for part in ("path", "headers", "body")}


def filled(given, values):
    """What was generated, with what is there of `values` in its place. A copy: the generator keeps its own."""
    if not isinstance(given, dict):
        return given
    return {name: values.get(name, value) for name, value in given.items()}


def segments(text):
    """The generator encodes each `/`: this makes segments of them, and up to four of what has none."""
    text = urllib.parse.unquote(text, errors="replace")
    width = -(-len(text) // (1 + len(text) % 4))
    cut = text.split("/") if "/" in text else [text[at : at + width] for at in range(0, len(text), width or 1)]
    return "/".join(urllib.parse.quote(segment, safe="") for segment in cut)


def object_for(operation):
    by_id = TABLES["operations"].get(operation.definition.raw.get("operationId"))
    starts = [start for start in TABLES["paths"] if operation.path.startswith(start)]
    return by_id or (TABLES["paths"][max(starts, key=len)] if starts else "nothing")


@schemathesis.auth()
class Root:
    def get(self, case, context):
        return ROOT

    def set(self, case, token, context):
        case.headers["Authorization"] = token


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for path, item in raw_schema["paths"].items():
        for method in list(item):
            if any(f"{method.upper()} {path}".startswith(start) for start in TABLES["never"]):
                del item[method]


@schemathesis.hook
def before_call(context, case, kwargs):
    asked[case.operation.label] += 1
    given = case.path_parameters or {}
    whole = {name: segments(given[name]) for name in ("path", "prefix") if isinstance(given.get(name), str)}
    case.path_parameters = filled(case.path_parameters, whole)
    # What waits, waits shorter than whoever asks, and a stream has no end.
    query = case.query or {}
    if case.operation.path == "/api/v1/watch":
        wait = str(query.get("wait", 1))
        if wait.isdigit() and 1 <= int(wait) <= 60:
            case.query = query | {"wait": "1"}
    elif "wait" in query:
        case.query = query | {"timeout": "1"}
    if asked[case.operation.label] % 2 == 0 or case.method.upper() != case.operation.method.upper():
        return
    made = make(object_for(case.operation))
    case.path_parameters = filled(case.path_parameters, made["path"])
    case.body = filled(case.body, made["body"])
    # A check may have sent it with another token on purpose.
    if case.headers.get("Authorization") == ROOT:
        case.headers.update(made["headers"])


@schemathesis.hook
def after_call(context, case, response):
    if response.request.method == case.operation.method.upper():
        count = answers[case.operation.label]
        count[str(response.status_code)] += 1
        if response.status_code == 503 and not (response.headers.get("retry-after") and response.json().get("code")):
            count["503 without code and Retry-After"] += 1


@atexit.register
def keep():
    pathlib.Path(os.environ["STRONGROOM_ANSWERS"]).write_text(json.dumps(answers))
