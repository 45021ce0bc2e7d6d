"""run.py PROGRAM NODE_FOLDER: logs in to the real program with what PyJWT, npm's jose and oidc-provider make, and has these
verify what it issues."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

import browser
import issuer

PROGRAM, NODE = sys.argv[1:3]
AUDIENCE = "https://strongroom.test"
checked = 0


def check(what, good, why=""):
    global checked
    checked += 1
    if not good:
        raise SystemExit(f"FAILED: {what}: {why}")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def jose(asked):
    done = subprocess.run(["node", "jose.mjs"], cwd=NODE, input=json.dumps(asked), capture_output=True, text=True)
    check("jose runs", done.returncode == 0, done.stderr)
    return json.loads(done.stdout)


class Server:
    def __init__(self, folder):
        self.folder, self.data = folder, folder / "data"
        self.address = f"http://127.0.0.1:{free_port()}"
        environment = {"PATH": os.environ["PATH"], "STRONGROOM_OUTBOUND_ALLOW": "127.0.0.1"}
        log = open(folder / "log", "w")
        arguments = [PROGRAM, "dev", "--data-dir", self.data, "--listen", self.address.removeprefix("http://")]
        self.process = subprocess.Popen(arguments, env=environment, stdout=log, stderr=log)
        while "ready on" not in (folder / "log").read_text():
            check("the server starts", self.process.poll() is None, (folder / "log").read_text())
            time.sleep(0.1)
        self.root = {"STRONGROOM_TOKEN": (self.data / "root-token").read_text().strip()}

    def environment(self, more):
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "STRONGROOM_ADDR": self.address, **more}

    def run(self, *arguments, stdin="", **more):
        return subprocess.run(
            [PROGRAM, *arguments], input=stdin, capture_output=True, text=True, env=self.environment(more), timeout=60
        )

    def admin(self, *arguments, stdin=""):
        done = self.run(*arguments, stdin=stdin, **self.root)
        check(" ".join(arguments), done.returncode == 0, done.stderr)
        return done.stdout

    def login(self, method, role, token):
        """Whether the token logs in, and whoami then answers with method and role."""
        done = self.run("login", "--method", method, "--role", role, "--token-file", "-", stdin=token)
        if done.returncode == 0:
            me = json.loads(self.run("whoami", "-o", "json").stdout)
            check("whoami", (me["method"], me["role"]) == (method, role), str(me))
        else:
            check("a refusal is one of ours", done.returncode == 4, done.stderr)
        return done.returncode == 0


def private_keys():
    return {
        "RS256": rsa.generate_private_key(65537, 2048),
        "PS512": rsa.generate_private_key(65537, 3072),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "ES384": ec.generate_private_key(ec.SECP384R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
        "ES512": ec.generate_private_key(ec.SECP521R1()),
    }


def public_jwk(name, key):
    found = jwt.get_algorithm_by_name(name).to_jwk(key.public_key(), as_dict=True)
    return {**found, "kid": f"py-{name}", "use": "sig", "alg": name}


def claims_of(issuer_url, **more):
    now = int(time.time())
    return {"iss": issuer_url, "aud": AUDIENCE, "sub": "build", "iat": now, "nbf": now, "exp": now + 300, **more}


def method(server, name, ca, config):
    body = {"type": "jwt", "audiences": [AUDIENCE], "keys": {"ca_pem": ca.read_text()}, **config}
    server.admin("method", "put", name, "-", stdin=json.dumps(body))


def role(server, name, bounds):
    server.admin("role", "put", name, "--policy", "reader", "--bounds", "-", stdin=json.dumps(bounds))


def by_pyjwt(server, outside, ca):
    keys = private_keys()
    url = outside.publish("py", {"keys": [public_jwk(name, key) for name, key in keys.items()]})
    method(server, "py", ca, {"issuer": url})
    role(server, "build", {"method": "py", "claims": {"sub": "build"}})
    for name, key in keys.items():
        token = jwt.encode(claims_of(url), key, algorithm=name, headers={"kid": f"py-{name}"})
        check(f"PyJWT's {name}", server.login("py", "build", token) == (name != "ES512"))
    key, header = keys["EdDSA"], {"kid": "py-EdDSA"}
    for what, change in {
        "another subject": {"sub": "other"},
        "another audience": {"aud": "https://other.test"},
        "another issuer": {"iss": f"{url}/"},
        "expired": {"exp": int(time.time()) - 60},
        "no end": {"exp": None},
        "not yet": {"nbf": int(time.time()) + 120},
    }.items():
        claims = {name: value for name, value in {**claims_of(url), **change}.items() if value is not None}
        check(f"refused: {what}", not server.login("py", "build", jwt.encode(claims, key, "EdDSA", headers=header)))
    unsigned = jwt.encode(claims_of(url), None, algorithm="none", headers=header)
    check("refused: none", not server.login("py", "build", unsigned))
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    shared = jwt.encode(claims_of(url), raw, algorithm="HS256", headers=header)
    check("refused: a public key as a shared secret", not server.login("py", "build", shared))
    elsewhere = jwt.encode(claims_of(url), key, "EdDSA", headers={**header, "jku": f"{url}/jwks"})
    check("refused: keys elsewhere", not server.login("py", "build", elsewhere))
    return keys


def by_jose(server, outside, ca):
    url = f"{outside.url}/jose"
    made = jose({"sign": {"issuer": url, "audience": AUDIENCE, "subject": "build"}})
    check("the issuer's name", outside.publish("jose", made["jwks"]) == url)
    method(server, "jose", ca, {"issuer": url})
    role(server, "built", {"method": "jose", "claims": {"sub": "build"}})
    for name, token in made["tokens"].items():
        check(f"jose's {name}", server.login("jose", "built", token) == (name != "ES512"))


def by_presets(server, outside, ca, key):
    url = outside.publish("forge", {"keys": [public_jwk("RS256", key)]})

    def token(**claims):
        return jwt.encode(claims_of(url, **claims), key, "RS256", headers={"kid": "py-RS256"})

    method(server, "github", ca, {"issuer": url, "preset": "github-actions"})
    role(server, "job", {"method": "github", "claims": {"repository_id": "1296269", "ref": "refs/heads/main"}})
    job = {
        "sub": "repo:octocat@583231/hello@1296269:ref:refs/heads/main", "repository": "octocat/hello", "repository_id": "1296269",
        "repository_owner": "octocat", "repository_owner_id": "583231", "ref": "refs/heads/main", "ref_type": "branch",
        "event_name": "push", "workflow": "ci", "run_id": "1", "runner_environment": "github-hosted",
    }
    check("GitHub's claims", server.login("github", "job", token(**job)))
    for what, change in {
        "a pull request": {"event_name": "pull_request", "sub": "repo:octocat/hello:pull_request"},
        "one of another's making": {"event_name": "pull_request_target"},
        "another repository of that name": {"repository_id": "2"},
        "another branch": {"ref": "refs/heads/other"},
        "no event": {"event_name": None},
    }.items():
        check(f"GitHub, refused: {what}", not server.login("github", "job", token(**{**job, **change})))
    method(server, "gitlab", ca, {"issuer": url, "preset": "gitlab"})
    role(server, "pipeline", {"method": "gitlab", "claims": {"project_id": "20", "ref": "main"}})
    job = {
        "sub": "project_path:group/project:ref_type:branch:ref:main", "project_id": "20", "project_path": "group/project",
        "namespace_id": "72", "ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main", "ref_protected": "true",
        "pipeline_source": "push", "pipeline_id": "1", "job_id": "2",
    }
    check("GitLab's claims", server.login("gitlab", "pipeline", token(**job)))
    for what, change in {
        "a merge request": {"pipeline_source": "merge_request_event", "ref_path": "refs/merge-requests/1/head"},
        "an unprotected branch": {"ref_protected": "false"},
        "another project": {"project_id": "21"},
    }.items():
        check(f"GitLab, refused: {what}", not server.login("gitlab", "pipeline", token(**{**job, **change})))
    names_alone = {"method": "github", "claims": {"repository": "octocat/hello", "ref": "refs/heads/main"}}
    refused = server.run("role", "put", "named", "--policy", "reader", "--bounds", "-", stdin=json.dumps(names_alone), **server.root)
    check("a role that binds names alone is refused", refused.returncode == 1 and "repository_id" in refused.stderr, refused.stderr)


def by_svids(server, outside, ca, keys):
    bundle = {"keys": [{**public_jwk(name, key), "use": "jwt-svid"} for name, key in keys.items()]}
    bundle["keys"].append({**public_jwk("RS256", keys["RS256"]), "kid": "certificates", "use": "x509-svid"})
    url = outside.publish("bundle", {"spiffe_sequence": 1, "spiffe_refresh_hint": 300, **bundle})
    source = {"jwks_url": f"{url}/jwks", "ca_pem": ca.read_text()}
    described = {"type": "spiffe-jwt", "trust_domain": "example.org", "audiences": [AUDIENCE], "keys": source}
    server.admin("method", "put", "spire", "-", stdin=json.dumps(described))
    app = "spiffe://example.org/ns/shop/sa/app"
    role(server, "svid", {"method": "spire", "spiffe_ids": [app]})

    def login(name, change=None, **header):
        now = int(time.time())
        claims = {"sub": app, "aud": [AUDIENCE], "exp": now + 300, "iat": now, **(change or {})}
        headers = {"kid": f"py-{name}", **header}
        return server.login("spire", "svid", jwt.encode(claims, keys[name], name, headers=headers))

    for name in keys:
        check(f"a JWT-SVID by {name}", login(name) == (name not in ("EdDSA", "ES512")))
    for what, change in {
        "another id": {"sub": "spiffe://example.org/ns/shop/sa/other"},
        "another trust domain": {"sub": app.replace("example.org", "example.com")},
        "another audience": {"aud": ["https://other.test"]},
        "expired": {"exp": int(time.time()) - 60},
    }.items():
        check(f"a JWT-SVID, refused: {what}", not login("ES256", change))
    check("a JWT-SVID, refused: a key for certificates", not login("RS256", kid="certificates"))
    check("a JWT-SVID, refused: another header", not login("RS256", x5t="a"))
    check("a JWT-SVID, refused: another type", not login("RS256", typ="at+jwt"))


def by_oidc_provider(server, files):
    port = free_port()
    arguments = ["node", "provider.mjs", str(port), str(files["certificate"]), str(files["key"])]
    provider = subprocess.Popen(arguments, cwd=NODE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for line in provider.stdout:
            if line.strip() == "ready":
                break
        check("oidc-provider starts", provider.poll() is None)
        config = {
            "type": "oidc", "issuer": f"https://127.0.0.1:{port}", "client_id": "strongroom", "scopes": ["profile", "groups"],
            "secret": "a secret of the client's own", "ca_pem": files["ca"].read_text(), "groups_claim": "groups",
            "groups": {"Engineering": "readers"}, "device_code": True,
        }
        server.admin("groups", "put", "readers", "--policy", "reader")
        server.admin("method", "put", "company", "-", stdin=json.dumps(config))
        for how in ([], ["--device"]):
            login = subprocess.Popen(
                [PROGRAM, "login", "--method", "company", *how], env=server.environment({}), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            url = next(line.strip() for line in login.stderr if line.strip().startswith("https://"))
            code = next(login.stderr).strip() if how else ""
            status, text = browser.log_in(url, files["ca"], "ada", code)
            told = "Sign-in Success" if how else "Logged in"
            check("the browser comes to an end", status == 200 and told in text, text)
            check("login ends well", login.wait(30) == 0, login.stderr.read())
            me = json.loads(server.run("whoami", "-o", "json").stdout)
            said = (me["kind"], me["name"], me["method"], me["groups"], me["policies"])
            check("the person", said == ("operator", "ada@company", "company", ["readers"], ["reader"]), str(me))
            check("logout", server.run("logout").returncode == 0)
    finally:
        provider.kill()
        provider.wait()


def verified_by_others(server):
    server.admin("role", "put", "app", "--policy", "reader")
    secret = server.folder / "client.secret"
    made = json.loads(server.admin("client", "create", "app", "--role", "app", "--secret-file", str(secret), "-o", "json"))
    body = json.dumps({"client_id": made["client_id"], "client_secret": secret.read_text().strip()}).encode()
    with urllib.request.urlopen(f"{server.address}/api/v1/auth/client/login", data=body, timeout=10) as answer:
        token = json.load(answer)["access_token"]
    with urllib.request.urlopen(f"{server.address}/.well-known/openid-configuration", timeout=10) as answer:
        said = json.load(answer)
    key = jwt.PyJWKClient(said["jwks_uri"]).get_signing_key_from_jwt(token)
    by_py = jwt.decode(token, key, algorithms=["EdDSA"], audience="strongroom", issuer=said["issuer"])
    check("PyJWT verifies ours", by_py["client_id"] == made["client_id"], str(by_py))
    asked = {"token": token, "jwks_uri": said["jwks_uri"], "issuer": said["issuer"], "audience": "strongroom"}
    by_jose_too = jose({"verify": asked})
    check("jose verifies ours", by_jose_too["payload"] == by_py and by_jose_too["header"]["alg"] == "EdDSA", str(by_jose_too))


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        files = issuer.certificates(folder)
        server, outside = Server(folder), issuer.Issuer(files)
        try:
            keys = by_pyjwt(server, outside, files["ca"])
            by_jose(server, outside, files["ca"])
            by_presets(server, outside, files["ca"], keys["RS256"])
            by_svids(server, outside, files["ca"], keys)
            by_oidc_provider(server, files)
            verified_by_others(server)
        finally:
            server.process.terminate()
            server.process.wait()
        leaked = re.findall(r"eyJ[\w-]+\.eyJ", (folder / "log").read_text())
        check("no token in the log", not leaked)
    print(f"PyJWT, jose and oidc-provider: {checked} checks, none failed")


main()
