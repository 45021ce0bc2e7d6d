"""verdict.py DESCRIPTION ANSWERS: whether every operation of the description has succeeded, and what was answered."""

import collections
import json
import pathlib
import sys
import tomllib

description, answers = (json.loads(pathlib.Path(file).read_text()) for file in sys.argv[1:3])
never = tomllib.loads(pathlib.Path(__file__).with_name("objects.toml").read_text())["never"]
methods = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}
operations = [
    f"{method.upper()} {path}" for path, item in description["paths"].items() for method in item.keys() & methods
]

total, missing = collections.Counter(), []
for operation in sorted(operations):
    why = [reason for start, reason in never.items() if operation.startswith(start)]
    if why:
        print(f"not sent: {operation}: {why[0]}")
        continue
    count = answers.get(operation, {})
    total.update(count)
    if not any(status.startswith("2") for status in count):
        missing.append(f"{operation} has not succeeded once: {count or 'not asked'}. Give it an example, or an object in objects.toml.")

kinds = ", ".join(f"{status}: {count}" for status, count in sorted(total.items()))
print(f"{len(operations)} operations, {sum(total.values())} answers ({kinds}), {len(missing)} operations without success")
bad = [f"{count} answers {status}" for status, count in total.items() if status.startswith("5")]
for line in missing + bad:
    print(f"FAILED: {line}", file=sys.stderr)
sys.exit(bool(missing or bad))
