"""Evaluates what it reads, a JSON list of `{type, key, fallback, context}`, and prints the details of each."""

import json
import sys

from openfeature.evaluation_context import EvaluationContext

from flags import flags

answers = []
for asked in json.load(sys.stdin):
    about = dict(asked["context"])
    context = EvaluationContext(about.pop("targetingKey", None), about)
    found = getattr(flags, f"get_{asked['type']}_details")(asked["key"], asked["fallback"], context)
    answers.append(
        {
            "value": found.value,
            "type": type(found.value).__name__,
            "variant": found.variant,
            "reason": found.reason,
            "error": found.error_code,
            "metadata": found.flag_metadata,
        }
    )
print(json.dumps(answers))
