"""Checks what docker-compose.yml may not say, and writes what it says as plain lists, for scripts/test-container.sh.

Arguments: a folder to write to, and the folder of the secrets. In the first, `order` has the services in the order of
their starts, and `services/NAME/` has one file a list, one line an item.
"""

import pathlib
import re
import sys

from ruamel.yaml import YAML

out, secrets_folder = pathlib.Path(sys.argv[1]), sys.argv[2]
compose = YAML(typ="safe").load(pathlib.Path("docker-compose.yml"))
services = compose["services"]


def secret(name):
    return compose["secrets"][name]["file"].replace("${STRONGROOM_SECRETS:-./secrets}", secrets_folder)


def check(name, service):
    for variable in service.get("environment", {}):
        if re.search("PASSWORD|SECRET|TOKEN|KEY|URL", variable) and not variable.endswith("_FILE"):
            sys.exit(f"{name}: {variable} would hold a secret; give it as a file")
    for port in service.get("ports", []):
        if name != "proxy" or not port.startswith("127.0.0.1:"):
            sys.exit(f"{name}: {port} can be reached by more than this machine's own clients of the proxy")
    if (service["read_only"], service["cap_drop"]) != (True, ["ALL"]):
        sys.exit(f"{name}: it can write to its root or has capabilities")
    if service["security_opt"] != ["no-new-privileges:true"]:
        sys.exit(f"{name}: it can gain privileges")


def lists(service):
    mounts = [volume.split(":") for volume in service.get("volumes", [])]
    if any(mount[0].startswith("./") and mount[2:] != ["ro"] for mount in mounts):
        sys.exit("a file of the repository could be written to")
    return {
        "image": [service["image"]],
        "user": [service.get("user", "")],
        "command": service.get("command", []),
        "environment": [f"{name}={value}" for name, value in service.get("environment", {}).items()],
        "secrets": [f"{secret(name)} /run/secrets/{name}" for name in service.get("secrets", [])],
        "files": [f"{pathlib.Path(mount[0]).absolute()} {mount[1]}" for mount in mounts if mount[0].startswith("./")],
        "volumes": [f"{mount[0]} {mount[1]}" for mount in mounts if not mount[0].startswith("./")],
        "tmpfs": [" ".join(reversed(place.split(":"))) for place in service.get("tmpfs", [])],
        "health": service.get("healthcheck", {}).get("test", [])[1:],
    }


def start(name, order):
    for needed in services[name].get("depends_on", {}):
        start(needed, order)
    if name not in order:
        order.append(name)


order = []
for name, service in services.items():
    check(name, service)
    folder = out / "services" / name
    folder.mkdir(parents=True)
    for file, lines in lists(service).items():
        (folder / file).write_text("".join(f"{line}\n" for line in lines))
    if "profiles" not in service:
        start(name, order)
(out / "order").write_text("".join(f"{name}\n" for name in order))
