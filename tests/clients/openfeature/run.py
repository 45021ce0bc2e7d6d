"""run.py PROGRAM NODE_FOLDER CHROMIUM: OpenFeature's own clients ask the real program for flags, in Node.js, in Python and in a
browser."""

import contextlib
import functools
import http.client
import http.server
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

PROGRAM, NODE, CHROMIUM = sys.argv[1:4]
SET = "shop/prod"
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


class Server:
    def __init__(self, folder):
        self.folder = folder
        self.listen, self.of_browsers = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.start()
        self.token = (folder / "data" / "root-token").read_text().strip()

    def start(self):
        environment = {"PATH": os.environ["PATH"], "STRONGROOM_FLAGS_LISTEN": self.of_browsers}
        log = self.folder / "log"
        with open(log, "w") as out:
            arguments = [PROGRAM, "dev", "--data-dir", self.folder / "data", "--listen", self.listen]
            self.process = subprocess.Popen(arguments, env=environment, stdout=out, stderr=out)
        while "ready on" not in log.read_text():
            check("the server starts", self.process.poll() is None, log.read_text())
            time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def ask(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://{self.listen}/api/v1/{path}",
            method=method,
            headers={"authorization": f"Bearer {self.token}"},
            data=None if body is None else json.dumps(body).encode(),
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise SystemExit(f"FAILED: {method} {path}: {error.read().decode()}") from error

    def put(self, key, variants, default, **more):
        definition = {"state": "ENABLED", "variants": variants, "defaultVariant": default, **more}
        self.ask("PUT", f"flags/{SET}/{key}", {"definition": definition})

    def token_for(self, path):
        name = f"for-{path.replace('/', '-').rstrip('-*')}"
        self.ask("PUT", f"policies/{name}", {"rules": [{"path": path, "capabilities": ["read"]}]})
        return self.ask("POST", "tokens", {"policies": [name], "ttl": 3600})["token"]


ANN = {"targetingKey": "user-1", "email": "ann@example.com"}
BOB = {"targetingKey": "user-2", "email": "bob@elsewhere.org"}
STAFF = {"if": [{"ends_with": [{"var": "email"}, "@example.com"]}, "on", None]}
# The published vectors of flagd: who is which card, by flag and targeting key.
SUITS = {"jack": "hearts", "queen": "spades", "ten": "clubs", "nine": "diamonds", "3": "clubs"}


def flags(server):
    switch = {"on": True, "off": False}
    server.put("new-checkout", switch, "off")
    server.put("staff", switch, "off", targeting=STAFF, metadata={"ticket": "SHOP-142", "beta": True})
    server.put("off", switch, "on", state="DISABLED")
    server.put("open", switch, None)
    server.put("greeting", {"short": "Hi", "long": "Good day"}, "short")
    server.put("limit", {"low": 10, "high": 100}, "high")
    server.put("ratio", {"tenth": 10.0, "half": 50.5}, "tenth")
    server.put("theme", {"dark": {"colours": [1, {"back": "#000"}]}, "plain": {}}, "dark")
    server.put("broken", switch, "on", targeting={"if": [True, "nowhere"]})
    server.put("fractional-flag", {suit: suit for suit in sorted(set(SUITS.values()))}, "clubs", targeting={
        "fractional": [[suit, 25] for suit in ("clubs", "diamonds", "hearts", "spades")]
    })


def questions():
    """Type, key, default, context, and what the client is to say of it."""
    yield "boolean", "new-checkout", True, {}, {"value": False, "variant": "off", "reason": "STATIC", "error": None}
    told = {"ticket": "SHOP-142", "beta": True}
    yield "boolean", "staff", False, ANN, {"value": True, "variant": "on", "reason": "TARGETING_MATCH", "metadata": told}
    yield "boolean", "staff", True, BOB, {"value": False, "variant": "off", "reason": "DEFAULT"}
    yield "string", "greeting", "", ANN, {"value": "Hi", "variant": "short", "error": None}
    yield "integer", "limit", 1, {}, {"value": 100, "type": "int", "variant": "high", "error": None}
    yield "float", "ratio", 0.5, {}, {"value": 10.0, "type": "float", "variant": "tenth", "error": None}
    yield "object", "theme", {}, {}, {"value": {"colours": [1, {"back": "#000"}]}, "variant": "dark", "error": None}
    for who, suit in SUITS.items():
        yield "string", "fractional-flag", "", {"targetingKey": who}, {"value": suit, "variant": suit}
    yield "string", "fractional-flag", "", {}, {"value": "clubs", "reason": "DEFAULT", "error": None}
    # The default in the program's code.
    yield "boolean", "off", True, {}, {"value": True}
    yield "boolean", "off", False, {}, {"value": False}
    yield "boolean", "open", True, {}, {"value": True}
    missing = {"reason": "ERROR", "error": "FLAG_NOT_FOUND"}
    yield "boolean", "absent", True, ANN, {"value": True, **missing}
    yield "boolean", "über", True, ANN, {"value": True, **missing}
    yield "string", "new-checkout", "mine", {}, {"value": "mine", "reason": "ERROR", "error": "TYPE_MISMATCH"}
    yield "boolean", "broken", True, {}, {"value": True, "reason": "ERROR", "error": "GENERAL"}
    yield "boolean", "staff", True, {"targetingKey": 7}, {"value": True, "error": "INVALID_CONTEXT"}


def client(program, url, token, asked):
    environment = {"PATH": os.environ["PATH"], "FLAGS_URL": url, "FLAGS_TOKEN": token}
    sent = json.dumps([dict(zip(("type", "key", "fallback", "context"), one)) for one in asked])
    done = subprocess.run(program, cwd=NODE, env=environment, input=sent, capture_output=True, text=True, timeout=60)
    check(f"{program} runs", done.returncode == 0, done.stderr)
    return json.loads(done.stdout)


def by_programs(server, name, program, skipped):
    began, url = time.monotonic(), f"http://{server.listen}/flags/{SET}"
    asked = list(questions())
    told = client(program, url, server.token_for(f"flag/{SET}/*"), asked)
    for (_, key, _, context, expected), answer in zip(asked, told, strict=True):
        seen = {what: answer.get(what) for what in expected if what not in skipped}
        check(f"{name}: {key} {context}", seen == {what: expected[what] for what in seen}, f"{answer} is not {expected}")
    # Who may not ask, or is nobody, gets the default of the program's code.
    one = [("boolean", "staff", True, ANN)]
    for what, token in (("no token of ours", "nobody"), ("another set", server.token_for("flag/shop/test/*"))):
        answer = client(program, url, token, one)[0]
        check(f"{name}: {what}", (answer["value"], answer["error"]) == (True, "GENERAL"), str(answer))
    print(f"{name}: {len(asked) + 2} evaluations in {time.monotonic() - began:.1f} s")


class Pages(http.server.ThreadingHTTPServer):
    """Serves a folder on a port of its own, so as an origin of its own, and below /ofrep/ what another server answers."""

    def __init__(self, folder, behind=None):
        self.behind = behind
        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
        self.origin = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *why):
        self.shutdown()
        super().__exit__(*why)


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.server.behind and self.path.startswith("/ofrep/"):
            self.pass_on()
        else:
            super().do_GET()

    def do_POST(self):
        self.pass_on()

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        with contextlib.closing(http.client.HTTPConnection(self.server.behind)) as other:
            other.request(self.command, self.path, body or None, dict(self.headers))
            answer = other.getresponse()
            self.send_response_only(answer.status)
            for name in ("content-type", "etag"):
                if answer.getheader(name):
                    self.send_header(name, answer.getheader(name))
            self.end_headers()
            while some := answer.read1():
                self.wfile.write(some)
        self.close_connection = True


class Browser:
    def __init__(self):
        self.process = subprocess.Popen(
            ["node", "browser.mjs", CHROMIUM], cwd=NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, verb, name, **given):
        print(json.dumps({"verb": verb, "name": name, **given}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        check(f"{verb} in the browser", line)
        return json.loads(line)

    def until(self, name, text, within=10):
        seen = self.ask("until", name, text=text, within=within)
        check(f"{name} shows {text!r}", seen.get("text") == text, str(seen))
        return seen

    def end(self):
        self.process.stdin.close()
        self.process.wait(30)


def build(folder, url, key):
    define = {"process.env.FLAGS_URL": url, "process.env.FLAGS_KEY": key, "process.env.NODE_ENV": "production"}
    words = [f"--define:{name}={json.dumps(value)}" for name, value in define.items()]
    out = f"--outfile={folder / 'page.js'}"
    esbuild = ["node_modules/.bin/esbuild", "page.jsx", "--bundle", "--jsx=automatic", "--log-level=error", out, *words]
    done = subprocess.run(esbuild, cwd=NODE, capture_output=True, text=True, timeout=60)
    check("esbuild bundles the page", done.returncode == 0, done.stderr)
    page = '<!doctype html><div id="root"></div><script type="module" src="page.js"></script>'
    (folder / "index.html").write_text(page)


OLD, NEW = (f"Hi, this is the {which} checkout." for which in ("old", "new"))
# What a page shows that has no flags: the defaults in its code.
NONE = "Hello, this is the old checkout."


def flip(server, browser, name, to, within=10):
    """Switches, and says after how many milliseconds the page shows it."""
    server.put("new-checkout", {"on": True, "off": False}, to)
    done = time.time() * 1000
    seen = browser.until(name, NEW if to == "on" else OLD, within)
    return round(seen["at"] - done), seen["loaded"]


def in_a_browser(server, folder, browser):
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        ours, other = (stack.enter_context(Pages(folder)) for _ in range(2))
        made = server.ask("POST", f"flag-sets/{SET}/browser-keys", {"origins": [ours.origin], "ttl": 3600})
        build(folder, f"http://{server.of_browsers}/flags/{SET}", made["key"])
        browser.ask("open", "shop", url=ours.origin)
        first = browser.until("shop", OLD)
        took = []
        for to in ("on", "off", "on"):
            after, loaded = flip(server, browser, "shop", to)
            check("the page was not loaded again", loaded == first["loaded"])
            took.append(after)
        print(f"a browser shows a flip after {', '.join(map(str, took))} ms")
        refused(browser, "other", other.origin)
        reloaded(server, browser)
        at_its_own_origin(server, folder.parent, browser)
        restarted(server, browser)
        revoked(server, browser, made["key_id"], ours.origin)
    print(f"React in a browser: {time.monotonic() - began:.1f} s")


def refused(browser, name, url):
    browser.ask("open", name, url=url)
    said = browser.ask("answers", name)
    check(f"{name} is refused", [f"/flags/{SET}/ofrep/v1/evaluate/flags", 401] in said, str(said))
    time.sleep(0.5)
    browser.until(name, NONE)


def reloaded(server, browser):
    """What the last page left behind does not keep the next one from its stream."""
    browser.ask("reload", "shop")
    browser.until("shop", NEW)
    after, _ = flip(server, browser, "shop", "off")
    print(f"and {after} ms after it was loaded again")


def at_its_own_origin(server, folder, browser):
    """Behind a proxy that serves the page too, browsers do not say of which page a stream is; nor does the address say whose
    flags are meant, but the key."""
    site = folder / "behind"
    site.mkdir()
    with Pages(site, server.of_browsers) as pages:
        made = server.ask("POST", f"flag-sets/{SET}/browser-keys", {"origins": [pages.origin]})
        build(site, pages.origin, made["key"])
        browser.ask("open", "behind", url=pages.origin)
        browser.until("behind", OLD)
        after, _ = flip(server, browser, "behind", "on")
        flip(server, browser, "behind", "off")
        print(f"and {after} ms at the page's own origin, which names no set")
        browser.ask("close", "behind")


def restarted(server, browser):
    """The stream goes on behind a restart, also where the browser asks while nobody is there; what changed meanwhile is told."""
    loaded = browser.until("shop", OLD)["loaded"]
    for away, to in ((0, "on"), (6, "off")):
        server.stop()
        time.sleep(away)
        server.start()
        after, _ = flip(server, browser, "shop", to, 30)
        print(f"a server was away for {away} s: a flip right behind it is shown after {after} ms")
    after, same = flip(server, browser, "shop", "on")
    check("the page was not loaded again", same == loaded)
    print(f"and the next one after {after} ms")


def revoked(server, browser, key, url):
    server.ask("DELETE", f"flag-sets/{SET}/browser-keys/{key}")
    server.put("new-checkout", {"on": True, "off": False}, "off")
    time.sleep(3)
    now = browser.ask("until", "shop", text="", within=0)["text"]
    check("a page whose key is revoked learns nothing", now == NEW, now)
    refused(browser, "late", url)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        server = Server(folder)
        try:
            flags(server)
            by_programs(server, "Node.js", ["node", "answers.mjs"], {"type"})
            by_programs(server, "Python", [sys.executable, "answers.py"], ())
            if CHROMIUM:
                site = folder / "site"
                site.mkdir()
                browser = Browser()
                try:
                    in_a_browser(server, site, browser)
                finally:
                    browser.end()
        finally:
            server.stop()
        check("no address of a stream in the log", "ticket=" not in (folder / "log").read_text())
    print(f"OpenFeature's clients: {checked} checks, none failed")


main()
